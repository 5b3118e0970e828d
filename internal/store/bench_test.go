package store

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mapwarden/mapwarden/internal/health"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// BenchmarkJournal is one entry's life (Put, Update, Close), each step durable,
// with one writer per CPU and with 64: those that wait share a commit.
func BenchmarkJournal(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers-per-cpu=%d", writers), func(b *testing.B) {
			s, err := Open(b.TempDir(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			var n atomic.Int64
			b.SetParallelism(writers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					e, err := s.Journal().Put(b.Context(), testEntry(fmt.Sprint(n.Add(1))))
					if err == nil {
						e, err = s.Journal().Update(b.Context(), e)
					}
					if err == nil {
						err = s.Journal().Close(b.Context(), e)
					}
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkHistory is what a full history costs: a batch of records, the
// search for one instance in all of them, and opening the file.
func BenchmarkHistory(b *testing.B) {
	dir := b.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { s.Close() }()
	now := time.Now().UnixNano()
	batch := make([]warden.Record, 100)
	for i := range batch {
		batch[i] = warden.Record{
			Kind: warden.DecisionRecord, Wall: now, Instance: fmt.Sprint("instance-", i), Detail: "refused 4 times in a row; 11 of 12 pass",
			Service: health.Service{ID: "srv-0123456789abcdef", Name: "payments", Namespace: "prod.internal"},
		}
	}
	for range s.opts.KeepRecords / len(batch) {
		if err := s.Append(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("append=100", func(b *testing.B) {
		for b.Loop() {
			if err := s.Append(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("search", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Records(b.Context(), Query{Instance: "nobody"}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("latest=1000", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Records(b.Context(), Query{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			if s, err = Open(dir, Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
