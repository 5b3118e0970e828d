package store

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/mapwarden/mapwarden/internal/lever"
	"github.com/mapwarden/mapwarden/internal/warden"
)

// envVictim names the directory in which this binary, started again as a child,
// writes until it is killed.
const envVictim = "MAPWARDEN_STORE_VICTIM"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envVictim); dir != "" {
		if err := victim(dir, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// victim opens, updates and closes entries from several goroutines, and says
// so only after the store has: "open ID VERSION" or "closed ID".
func victim(dir string, out io.Writer) error {
	ctx := context.Background()
	s, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	loaded, err := s.Load(ctx)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(out, format+"\n", args...)
	}
	failed := make(chan error, 4)
	for w := range 4 {
		go func() { failed <- write4ever(ctx, s, fmt.Sprintf("%d.%d", len(loaded.Entries), w), say) }()
	}
	return <-failed
}

func write4ever(ctx context.Context, s *Store, name string, say func(string, ...any)) error {
	for i := 0; ; i++ {
		e, err := s.Journal().Put(ctx, testEntry(fmt.Sprintf("%s.%d", name, i)))
		if err != nil {
			return err
		}
		say("open %s %d", e.ID, e.Version)
		e.Phase = lever.Sending
		if e, err = s.Journal().Update(ctx, e); err != nil {
			return err
		}
		say("open %s %d", e.ID, e.Version)
		if err := s.Append(ctx, []warden.Record{record(i, lately)}); err != nil {
			return err
		}
		if i%2 == 0 {
			say("closing %s", e.ID)
			if err := s.Journal().Close(ctx, e); err != nil {
				return err
			}
			say("closed %s", e.ID)
		}
	}
}

// What the store acknowledged is there after kill -9, round after round in the
// same file; what it did not is there whole or not at all.
func TestAcknowledgedEntriesSurviveKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]int64{} // id: version; 0 is closed
	closing := map[string]bool{}       // asked for, and perhaps done
	for round := range 5 {
		kill(t, dir, 100+37*round, func(line string) {
			fields := strings.Fields(line)
			switch fields[0] {
			case "open":
				version, err := strconv.ParseInt(fields[2], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				acknowledged[fields[1]] = version
			case "closing":
				closing[fields[1]] = true
			case "closed":
				acknowledged[fields[1]] = 0
			}
		})
		s := openTest(t, dir)
		loaded, err := s.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if loaded.Lost {
			t.Errorf("round %d: lost: %s", round, s.Loss())
		}
		found := map[string]int64{}
		for _, e := range loaded.Entries {
			found[e.ID] = e.Version
			want := testEntry(e.Instance)
			want.Version, want.Phase = e.Version, e.Phase
			if diff := diffEntries(want, e); diff != "" {
				t.Errorf("round %d: entry %s (-want +got):\n%s", round, e.ID, diff)
			}
		}
		for id, version := range acknowledged {
			switch got, ok := found[id]; {
			case version == 0 && ok:
				t.Errorf("round %d: %s was closed and is back", round, id)
			case version > 0 && !ok && !closing[id]:
				t.Errorf("round %d: %s is gone", round, id)
			case version > 0 && ok && got < version:
				t.Errorf("round %d: %s has version %d, %d was acknowledged", round, id, got, version)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(acknowledged) < 100 {
		t.Errorf("only %d entries were tried", len(acknowledged))
	}
}

// kill starts a victim on dir, kills it in the middle of its work after so many
// lines, and hands over all that it said.
func kill(t *testing.T, dir string, lines int, heard func(string)) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), envVictim+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	scanner := bufio.NewScanner(out)
	n := 0
	for scanner.Scan() {
		heard(scanner.Text())
		if n++; n == lines {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || n < lines {
		t.Fatalf("the child said %d lines and ended by itself: %v", n, err)
	}
}
