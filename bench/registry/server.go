//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mapwarden/mapwarden/internal/registry"
	"github.com/mapwarden/mapwarden/internal/registry/access"
	"github.com/mapwarden/mapwarden/internal/registry/awsjson"
)

// serving are the flags of a server process. It listens on a port that it
// prints, answers each line of its input with its usage, and ends with it.
type serving struct {
	path   string
	noSync bool
	delay  time.Duration
}

// usage is what a server process has used up so far.
type usage struct {
	CPU     time.Duration
	Commits int64
}

func (s serving) registry() error {
	reg, err := registry.Open(registry.Options{Path: s.path, NoSync: s.noSync, OperationDelay: s.delay})
	if err != nil {
		return err
	}
	defer reg.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var g errgroup.Group
	g.Go(func() error { return reg.Run(ctx) })
	door := access.New(access.Options{Account: reg.Account(), Region: reg.Region()}, awsjson.New(reg))
	err = serve(ctx, door, reg.Commits)
	cancel()
	if runErr := g.Wait(); err == nil {
		err = runErr
	}
	return err
}

// zeros are no part of the heap: as one they would let the bare handler collect
// garbage less often than a registry.
var zeros [4 << 20]byte

// bare serves as many zeros as the path of the URL says.
func (s serving) bare() error {
	handler := func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		n, err := strconv.Atoi(r.URL.Path[1:])
		if err != nil || n < 0 || n > len(zeros) {
			http.Error(w, "how many bytes?", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.Header().Set("Content-Length", r.URL.Path[1:])
		w.Write(zeros[:n])
	}
	return serve(context.Background(), http.HandlerFunc(handler), func() int64 { return 0 })
}

// serve serves as mapwarden registry does until its input ends: the bare handler
// as well, so that what is compared is the answer alone.
func serve(ctx context.Context, h http.Handler, commits func() int64) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var g errgroup.Group
	g.Go(func() error { return access.Serve(ctx, l, access.DefaultConnections, h) })
	fmt.Println(l.Addr())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			return err
		}
		used := usage{CPU: time.Duration(u.Utime.Nano() + u.Stime.Nano()), Commits: commits()}
		if err := json.NewEncoder(os.Stdout).Encode(used); err != nil {
			return err
		}
	}
	cancel()
	return g.Wait()
}
