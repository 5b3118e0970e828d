package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// Signals with which the demo spoils and mends a server.
const (
	spoil = syscall.SIGUSR1 // answer 500 at once
	mend  = syscall.SIGUSR2
)

// Serve is a server of the demo's fleet: it answers 200 to everything on
// address, once it is ready. It ends with ctx.
func Serve(ctx context.Context, out io.Writer, address string, readyAfter time.Duration) error {
	var spoilt atomic.Bool
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, spoil, mend)
	defer signal.Stop(signals)
	srv := &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if spoilt.Load() {
				http.Error(w, "no", http.StatusInternalServerError)
				return
			}
			io.WriteString(w, "yes\n")
		}),
	}
	ready := time.After(readyAfter)
	served := make(chan error, 1)
	for {
		select {
		case <-ctx.Done():
			srv.Close()
			return nil
		case s := <-signals:
			spoilt.Store(s == spoil)
		case err := <-served:
			return err
		case <-ready:
			l, err := net.Listen("tcp", address)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "listening server %s\n", l.Addr())
			go func() {
				if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
					served <- err
				}
			}()
		}
	}
}
