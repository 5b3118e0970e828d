// Package serve gives an HTTP server the life that all of ours have: it answers
// until a context ends, and then lets go without keeping anybody waiting.
//
// It knows no handler and sets no bounds of connections: those are the caller's,
// who knows what is asked and by whom. It opens no listener.
package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// drainTimeout is how long requests under way may take to finish.
const drainTimeout = 3 * time.Second

// Until answers on ln until ctx ends, then lets requests under way finish for
// at most three seconds. The contexts of requests end with ctx, so that what
// waits for one ends at once. Until returns nil when ctx ended, and closes ln in
// any case. It sets the server's BaseContext and ErrorLog.
func Until(ctx context.Context, ln net.Listener, srv *http.Server) error {
	base, stop := context.WithCancel(context.Background())
	defer stop()
	srv.BaseContext = func(net.Listener) context.Context { return base }
	srv.ErrorLog = slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug)
	drained := make(chan error, 1)
	ended := context.AfterFunc(ctx, func() {
		stop()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		err := srv.Shutdown(grace)
		if err != nil {
			err = srv.Close()
		}
		drained <- err
	})
	err := srv.Serve(ln)
	if ended() {
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	}
	if err := <-drained; err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close %s: %w", ln.Addr(), err)
	}
	return nil
}
