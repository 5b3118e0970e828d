package registry

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// syncsPerCommit is what bbolt does: the pages, and then the page that makes
// them valid. A third when the file grows is left out.
const syncsPerCommit = 2

// registerAll has clients register n instances of one service, each waiting for
// its answer before the next, and returns how long that took and how many
// commits it was.
func registerAll(b *testing.B, clients, n int, delay time.Duration, noSync bool) (took time.Duration, commits int64) {
	r, err := Open(Options{Path: filepath.Join(b.TempDir(), "registry.db"), OperationDelay: delay, NoSync: noSync})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var group sync.WaitGroup
	group.Go(func() { r.Run(ctx) })
	defer func() {
		cancel()
		group.Wait()
		if err := r.Close(); err != nil {
			b.Error(err)
		}
	}()
	if err := r.write(func(b *batch) error {
		b.putNamespace(&Namespace{ID: "ns-1", Name: "prod", Type: HTTPNamespace, HTTPName: "prod", CreateDate: b.now})
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	svc, err := r.CreateService(NewService{Name: "web", NamespaceID: "ns-1"})
	if err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	var writers sync.WaitGroup
	before, started := r.store.commits.Load(), time.Now()
	for range clients {
		writers.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				_, err := r.Register(Registration{
					ServiceID: svc.ID, InstanceID: fmt.Sprint("i-", i),
					Attributes: map[string]string{AttrIPv4: "10.0.0.1", AttrPort: "8080", "AVAILABILITY_ZONE": "eu-west-1a"},
				})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	return time.Since(started), r.store.commits.Load() - before
}

// BenchmarkGroupCommit says how well clients that write at the same time share
// the waiting for the disk: fsyncs per 1,000 writes, and the throughput as a
// part of what it is without any fsync.
func BenchmarkGroupCommit(b *testing.B) {
	for _, clients := range []int{1, 8, 64, 256} {
		for _, delay := range []time.Duration{0, 200 * time.Millisecond} {
			b.Run(fmt.Sprintf("clients=%d/delay=%s", clients, delay), func(b *testing.B) {
				took, made := registerAll(b, clients, b.N, delay, false)
				b.StopTimer()
				loose, _ := registerAll(b, clients, b.N, delay, true)
				b.ReportMetric(float64(made*syncsPerCommit)*1000/float64(b.N), "fsyncs/1000writes")
				b.ReportMetric(float64(loose)/float64(took), "of-unsynced")
			})
		}
	}
}
