package store

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

var quick = Options{LockTimeout: 20 * time.Millisecond}

func TestANewDirectoryIsNotALostJournal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "down")
	for i := range 3 {
		s := openTest(t, dir)
		loaded, err := s.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if loaded.Lost || len(loaded.Entries) != 0 || s.Loss() != "" {
			t.Errorf("start %d: lost %v (%s), %d entries", i, loaded.Lost, s.Loss(), len(loaded.Entries))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v; want 0700", info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Join(dir, fileName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file: %v, %v; want 0600", info.Mode(), err)
	}
}

func TestALostJournalIsNotANewDirectory(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
	}{
		{"the file is removed", func(t *testing.T, dir string) { remove(t, dir, fileName) }},
		{"the file is emptied", func(t *testing.T, dir string) { write(t, dir, fileName, "") }},
		{"the file is another directory's", func(t *testing.T, dir string) {
			other := t.TempDir()
			if err := openTest(t, other).Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(other, fileName), filepath.Join(dir, fileName)); err != nil {
				t.Fatal(err)
			}
		}},
		{"an entry is removed", func(t *testing.T, dir string) {
			change(t, dir, func(tx *bolt.Tx) error {
				k, _ := tx.Bucket(bucketJournal).Cursor().First()
				return tx.Bucket(bucketJournal).Delete(k)
			})
		}},
		{"the journal is removed", func(t *testing.T, dir string) {
			change(t, dir, func(tx *bolt.Tx) error {
				if err := tx.DeleteBucket(bucketJournal); err != nil {
					return err
				}
				_, err := tx.CreateBucket(bucketJournal)
				return err
			})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			s := openTest(t, dir)
			if _, err := s.Journal().Put(t.Context(), testEntry("i-1")); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			tt.spoil(t, dir)
			for i := range 2 { // it stays lost
				s := openTest(t, dir)
				loaded, err := s.Load(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if !loaded.Lost || s.Loss() == "" {
					t.Errorf("start %d: lost %v (%q)", i, loaded.Lost, s.Loss())
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// Deleting the marker is how an operator says that the journal is not missed.
func TestTheMarkerIsTheMemoryOfTheLoss(t *testing.T) {
	dir := t.TempDir()
	if err := openTest(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	remove(t, dir, fileName)
	s := openTest(t, dir)
	if !strings.Contains(s.Loss(), "delete "+filepath.Join(dir, markerName)) {
		t.Errorf("%q does not say what to do", s.Loss())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	remove(t, dir, markerName)
	if s := openTest(t, dir); s.Loss() != "" {
		t.Errorf("still lost: %s", s.Loss())
	}
}

// A process may die between any two steps of the creation.
func TestUnfinishedCreationIsFinished(t *testing.T) {
	for _, tt := range []struct {
		name  string
		begin func(t *testing.T, dir string)
	}{
		{"an empty file", func(t *testing.T, dir string) { write(t, dir, fileName, "") }},
		{"a database without buckets", func(t *testing.T, dir string) { change(t, dir, func(*bolt.Tx) error { return nil }) }},
		{"no marker yet", func(t *testing.T, dir string) {
			if err := openTest(t, dir).Close(); err != nil {
				t.Fatal(err)
			}
			remove(t, dir, markerName)
		}},
		{"half a marker", func(t *testing.T, dir string) { write(t, dir, markerName+".123", "AB") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.begin(t, dir)
			s := openTest(t, dir)
			if s.Loss() != "" {
				t.Errorf("lost: %s", s.Loss())
			}
			if _, err := s.Journal().Put(t.Context(), testEntry("i-1")); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(dir, markerName)); err != nil {
				t.Error(err)
			}
		})
	}
}

// What cannot be used is refused with its name and left as it is.
func TestUnusableFiles(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		text  string
	}{
		{"text", func(t *testing.T, dir string) { write(t, dir, fileName, "not a database\n") }, "restore it from a backup or move it away"},
		{"long text", func(t *testing.T, dir string) { write(t, dir, fileName, strings.Repeat("not a database\n", 10_000)) }, "invalid database"},
		{"another program's database", func(t *testing.T, dir string) {
			remove(t, dir, fileName)
			change(t, dir, func(tx *bolt.Tx) error {
				_, err := tx.CreateBucket([]byte("invoices"))
				return err
			})
		}, "it belongs to another program"},
		{"another program's meta", func(t *testing.T, dir string) {
			remove(t, dir, fileName)
			change(t, dir, func(tx *bolt.Tx) error {
				_, err := tx.CreateBucket(bucketMeta)
				return err
			})
		}, "it belongs to another program"},
		{"a newer format", func(t *testing.T, dir string) {
			setFormat(t, dir, func(r *formatRow) { r.Version = 2 })
		}, "it has format 2 and this mapwarden knows format 1; run a newer mapwarden on it"},
		{"no id", func(t *testing.T, dir string) {
			setFormat(t, dir, func(r *formatRow) { r.ID = "" })
		}, "its journal has no id"},
		{"a bucket is gone", func(t *testing.T, dir string) {
			change(t, dir, func(tx *bolt.Tx) error { return tx.DeleteBucket(bucketPassed) })
		}, "it is damaged (its passed is gone)"},
		{"an entry that is not one", func(t *testing.T, dir string) {
			change(t, dir, func(tx *bolt.Tx) error { return tx.Bucket(bucketJournal).Put([]byte("k"), []byte("{")) })
		}, "read a journal entry"},
		{"an entry of a kind to come", func(t *testing.T, dir string) {
			change(t, dir, func(tx *bolt.Tx) error {
				return tx.Bucket(bucketJournal).Put([]byte("k"), []byte(`{"kind":"lease","phase":"out","namespace":"n","service":"s","instance":"i"}`))
			})
		}, `read the journal entry of n/s/i: kind "lease" is not known`},
		{"no count", func(t *testing.T, dir string) {
			change(t, dir, func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(rowOpen, []byte("?")) })
		}, "its count of open entries"},
		{"cut off", func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, fileName), 3*int64(os.Getpagesize())); err != nil {
				t.Fatal(err)
			}
		}, "restore it from a backup or move it away"},
		{"a directory", func(t *testing.T, dir string) {
			remove(t, dir, fileName)
			if err := os.Mkdir(filepath.Join(dir, fileName), 0o700); err != nil {
				t.Fatal(err)
			}
		}, "it is not a file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			s := openTest(t, dir)
			if _, err := s.Journal().Put(t.Context(), testEntry("i-1")); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			tt.spoil(t, dir)
			for name, open := range map[string]func(string, Options) (*Store, error){"Open": Open, "OpenReadOnly": OpenReadOnly} {
				// A copy for each: where bbolt gives up in the middle, the lock stays until the process ends.
				dir := copyOf(t, dir)
				before, _ := os.ReadFile(filepath.Join(dir, fileName))
				s, err := open(dir, quick)
				if err == nil {
					s.Close()
					t.Fatalf("%s took it", name)
				}
				if !errors.Is(err, ErrFormat) {
					t.Errorf("%s: %v is not ErrFormat", name, err)
				}
				if !strings.Contains(err.Error(), tt.text) || !strings.Contains(err.Error(), filepath.Join(dir, fileName)) {
					t.Errorf("%s: %q does not say %q of %s", name, err, tt.text, filepath.Join(dir, fileName))
				}
				if after, _ := os.ReadFile(filepath.Join(dir, fileName)); string(after) != string(before) {
					t.Errorf("%s changed the file", name)
				}
			}
		})
	}
}

// Wherever a page is overwritten the store is refused, or what it says is true.
func TestDamagedPages(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	var records []string
	for i := range 60 {
		name := "i-" + strings.Repeat("x", i)
		records = append(records, name)
		if _, err := s.Journal().Put(t.Context(), testEntry(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for page := 0; page < len(good); page += os.Getpagesize() {
		bad := append([]byte(nil), good...)
		for i := page; i < min(page+64, len(bad)); i++ {
			bad[i] ^= 0xa5
		}
		other := t.TempDir()
		write(t, other, fileName, string(bad))
		s, err := OpenReadOnly(other, quick)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Errorf("page at %d: %v", page, err)
			}
			refused++
			continue
		}
		entries, err := s.Journal().List(t.Context())
		if err != nil || len(entries) < len(records)-1 { // one transaction back at most: the other meta page
			t.Errorf("page at %d: %d of %d entries, %v", page, len(entries), len(records), err)
		}
		s.Close()
	}
	if refused < 2 {
		t.Errorf("%d damaged pages were refused", refused)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	for name, open := range map[string]func(string, Options) (*Store, error){"Open": Open, "OpenReadOnly": OpenReadOnly} {
		_, err := open(dir, quick)
		if !errors.Is(err, ErrInUse) {
			t.Errorf("%s = %v, want ErrInUse", name, err)
			continue
		}
		want := "open " + filepath.Join(dir, fileName) + ": another mapwarden runs on it; stop it, or ask it instead of the file"
		if err.Error() != want {
			t.Errorf("%s says %q, want %q", name, err, want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openTest(t, dir)
}

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenReadOnly(dir, quick); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in an empty directory: %v, want ErrNotExist", err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("looking created %v, %v", files, err)
	}
	s := openTest(t, dir)
	stored, err := s.Journal().Put(t.Context(), testEntry("i-1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := OpenReadOnly(dir, quick)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := OpenReadOnly(dir, quick) // several may look
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	expectEntries(t, b.Journal(), stored)
	if _, err := b.Journal().Put(t.Context(), testEntry("i-2")); err == nil {
		t.Error("a store that is only read took a write")
	}
	if loaded, err := b.Load(t.Context()); err != nil || loaded.Lost {
		t.Errorf("Load = %+v, %v", loaded, err)
	}
}

func TestReadOnlySeesALoss(t *testing.T) {
	dir := t.TempDir()
	if err := openTest(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	write(t, dir, markerName, "another journal's\n")
	s, err := OpenReadOnly(dir, quick)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Loss() == "" {
		t.Error("the loss is not seen")
	}
	remove(t, dir, fileName)
	if _, err := OpenReadOnly(dir, quick); err == nil || !strings.Contains(err.Error(), "is lost: journal.id is there and mapwarden.db is not") {
		t.Errorf("without the file: %v", err)
	}
	write(t, dir, fileName, "")
	if _, err := OpenReadOnly(dir, quick); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "is lost") {
		t.Errorf("with an empty file: %v", err)
	}
}

func copyOf(t *testing.T, dir string) string {
	t.Helper()
	other := t.TempDir()
	if err := os.CopyFS(other, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return other
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// change writes to the file behind the store's back.
func change(t *testing.T, dir string, f func(*bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(dir, fileName), 0o600, &bolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(f), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func setFormat(t *testing.T, dir string, set func(*formatRow)) {
	t.Helper()
	change(t, dir, func(tx *bolt.Tx) error {
		var row formatRow
		if err := json.Unmarshal(tx.Bucket(bucketMeta).Get(rowFormat), &row); err != nil {
			return err
		}
		set(&row)
		return putRow(tx.Bucket(bucketMeta), rowFormat, row)
	})
}
