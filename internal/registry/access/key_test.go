package access

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestKeysFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", KeysFile)
	if _, err := ReadKeys(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	a, err := AddKey(path, false, "ci")
	if err != nil {
		t.Fatal(err)
	}
	b, err := AddKey(path, true, "")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^AKMW[A-Z2-7]{16}$`).MatchString(a.ID) || !regexp.MustCompile(`^[A-Z2-7]{40}$`).MatchString(a.Secret) {
		t.Errorf("key %q with secret %q", a.ID, a.Secret)
	}
	if a.ID == b.ID || a.Secret == b.Secret {
		t.Error("two keys are one")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	keys, err := ReadKeys(path)
	if err != nil || len(keys) != 2 || keys[0] != a || keys[1] != b {
		t.Errorf("keys = %v, %v", keys, err)
	}
	if text := fmt.Sprint(keys); strings.Contains(text, a.Secret) {
		t.Errorf("printing keys tells a secret: %s", text)
	}
	if err := RemoveKey(path, "AKMWNONENONENONENONE"); !errors.Is(err, ErrNoKey) {
		t.Errorf("removing no key: %v", err)
	}
	for _, k := range []Key{a, b} {
		if err := RemoveKey(path, k.ID); err != nil {
			t.Error(err)
		}
	}
	if keys, err := ReadKeys(path); err != nil || len(keys) != 0 {
		t.Errorf("keys left: %v, %v", keys, err)
	}
	if _, err := AddKey(path, false, strings.Repeat("x", 201)); err == nil {
		t.Error("a long note was taken")
	}
	left, _ := filepath.Glob(path + "*")
	if len(left) != 1 {
		t.Errorf("files left: %v", left)
	}
}

// TestKeysAddedAtOnce: nobody's key is lost. Who finds the file in somebody
// else's hands is told, and tries again.
func TestKeysAddedAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), KeysFile)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				_, err := AddKey(path, false, "")
				if err == nil {
					return
				}
				if !strings.Contains(err.Error(), "another command changes the keys") {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if keys, err := ReadKeys(path); err != nil || len(keys) != 8 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

func TestBadKeysFiles(t *testing.T) {
	for _, tt := range []struct {
		name, content string
		mode          os.FileMode
		says          string
	}{
		{"others read it", `{"format":"mapwarden-keys","version":1,"keys":[]}`, 0o640, "others may read it; chmod 600"},
		{"others write it", `{"format":"mapwarden-keys","version":1,"keys":[]}`, 0o602, "others may read it"},
		{"cut off", `{"format":"mapwarden-keys","ver`, 0o600, "damaged"},
		{"empty", ``, 0o600, "damaged"},
		{"something else", `{}`, 0o600, "no file of keys"},
		{"newer", `{"format":"mapwarden-keys","version":2}`, 0o600, "newer mapwarden"},
		{"no id", `{"format":"mapwarden-keys","version":1,"keys":[{"secret":"x"}]}`, 0o600, "is none"},
		{"no secret", `{"format":"mapwarden-keys","version":1,"keys":[{"id":"AKMWAAAAAAAAAAAAAAAA"}]}`, 0o600, "no secret"},
		{"twice", `{"format":"mapwarden-keys","version":1,"keys":[{"id":"AKMWAAAAAAAAAAAAAAAA","secret":"x"},{"id":"AKMWAAAAAAAAAAAAAAAA","secret":"y"}]}`, 0o600, "twice"},
		{"huge", strings.Repeat(" ", 1<<20+1), 0o600, "more than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), KeysFile)
			write(t, path, tt.content, tt.mode)
			for what, err := range map[string]error{
				"read": second(ReadKeys(path)), "open": second(OpenRing(path, nil)), "add": second(AddKey(path, false, "")),
			} {
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%s: %v, want %q", what, err, tt.says)
				}
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != tt.content {
				t.Errorf("the file was changed: %s, %v", got, err)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// TestRingFollowsTheFile walks through a life of a file of keys: a Ring asks
// from the first key on, and whatever happens then, it never stops to ask.
func TestRingFollowsTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), KeysFile)
		var log bytes.Buffer
		own := NewKey(false, "")
		ring, err := OpenRing(path, slog.New(slog.NewTextHandler(&log, nil)), own)
		if err != nil {
			t.Fatal(err)
		}
		// expect looks a second later; the file's own times are real ones.
		expect := func(step string, asked bool, logged string, known ...Key) {
			t.Helper()
			time.Sleep(lookEvery)
			if got := ring.Asked(); got != asked {
				t.Errorf("%s: asked = %v", step, got)
			}
			if ring.Issued() != len(known) {
				t.Errorf("%s: %d keys are issued, want %d", step, ring.Issued(), len(known))
			}
			for _, k := range append(known, own) {
				if held := ring.find(k.ID); held == nil || held.Secret != k.Secret {
					t.Errorf("%s: %s is not known", step, k)
				}
			}
			if !strings.Contains(log.String(), logged) || (logged == "") != (log.Len() == 0) {
				t.Errorf("%s: log %q, want %q", step, log.String(), logged)
			}
			log.Reset()
		}
		expect("no file", false, "")
		a, err := AddKey(path, false, "")
		if err != nil {
			t.Fatal(err)
		}
		if ring.Asked() {
			t.Error("it looks more than once a second")
		}
		expect("a key", true, "keys changed", a)
		expect("nothing new", true, "", a)
		b, err := AddKey(path, true, "second")
		if err != nil {
			t.Fatal(err)
		}
		expect("two keys", true, "keys changed", a, b)
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		expect("others read it", true, "cannot be read; those from before stay", a, b)
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
		expect("mended", true, "keys changed", a, b)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, "{", 0o600)
		expect("damaged", true, "cannot be read", a, b)
		write(t, path, string(good), 0o600)
		if err := RemoveKey(path, a.ID); err != nil {
			t.Fatal(err)
		}
		expect("one key removed", true, "keys changed", b)
		if ring.find(a.ID) != nil {
			t.Error("a removed key is still known")
		}
		if err := RemoveKey(path, b.ID); err != nil {
			t.Fatal(err)
		}
		expect("the last key removed", true, "keys changed")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		expect("the file is gone", true, "keys are gone; no call is let in")
	})
}
