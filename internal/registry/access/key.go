package access

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync/atomic"
	"time"
)

// Key is an access key. Its secret has to be known here, since a signature can
// be checked by nothing less: who reads the file may call the registry.
type Key struct {
	ID       string    `json:"id"`
	Secret   string    `json:"secret"`
	ReadOnly bool      `json:"read_only,omitempty"`
	Note     string    `json:"note,omitempty"`
	Created  time.Time `json:"created"`
}

// String is the id: a key that is printed does not tell its secret.
func (k Key) String() string { return k.ID }

// keyPrefix begins every id that is made here. Ids of AWS begin with AKIA or
// ASIA, so that neither is mistaken for the other.
const keyPrefix = "AKMW"

// NewKey makes a key with the shape of AWS's: 20 characters of id and 40 of
// secret, which are 200 random bits.
func NewKey(readOnly bool, note string) Key {
	return Key{
		ID:       keyPrefix + rand.Text()[:16],
		Secret:   (rand.Text() + rand.Text())[:40],
		ReadOnly: readOnly,
		Note:     note,
		Created:  time.Now().UTC().Truncate(time.Second),
	}
}

// KeysFile is the name of the file that holds a registry's keys.
const KeysFile = "keys.json"

const (
	fileFormat  = "mapwarden-keys"
	fileVersion = 1
	maxFile     = 1 << 20
	maxNote     = 200
)

// file is what a keys file holds.
type file struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Keys    []Key  `json:"keys"`
}

var (
	idShape = regexp.MustCompile(`^[A-Za-z0-9_]{16,128}$`) // AWS's
	// ErrNoKey says that a keys file has no key of that id.
	ErrNoKey = errors.New("there is no such key")
)

// ReadKeys returns the keys of a file. One that others than its owner may read,
// or that is damaged, is an error; fs.ErrNotExist where there is none.
func ReadKeys(path string) ([]Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s has mode %04o and holds secrets: others may read it; chmod 600 it, and make new keys if others have", path, info.Mode().Perm())
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s has more than %d bytes: it is no file of keys", path, maxFile)
	}
	var content file
	if err := json.NewDecoder(f).Decode(&content); err != nil {
		return nil, fmt.Errorf("%s is damaged or no file of keys: %w", path, err)
	}
	return content.Keys, content.check(path)
}

func (f file) check(path string) error {
	if f.Format != fileFormat || f.Version < 1 {
		return fmt.Errorf("%s is no file of keys", path)
	}
	if f.Version > fileVersion {
		return fmt.Errorf("%s was written by a newer mapwarden", path)
	}
	seen := map[string]bool{}
	for _, k := range f.Keys {
		switch {
		case !idShape.MatchString(k.ID):
			return fmt.Errorf("%s: the id %.40q is none: 16 to 128 letters, digits or _", path, k.ID)
		case k.Secret == "":
			return fmt.Errorf("%s: key %s has no secret", path, k.ID)
		case seen[k.ID]:
			return fmt.Errorf("%s: key %s is there twice", path, k.ID)
		}
		seen[k.ID] = true
	}
	return nil
}

// AddKey makes a key and adds it to the file at path, which it creates where
// there is none.
func AddKey(path string, readOnly bool, note string) (Key, error) {
	if len(note) > maxNote {
		return Key{}, fmt.Errorf("the note has %d bytes, the limit is %d", len(note), maxNote)
	}
	made := NewKey(readOnly, note)
	return made, change(path, func(keys []Key) ([]Key, error) { return append(keys, made), nil })
}

// RemoveKey takes a key out of the file at path. The file stays when that was
// its last: a registry that asked for signatures goes on to ask.
func RemoveKey(path, id string) error {
	return change(path, func(keys []Key) ([]Key, error) {
		left := slices.DeleteFunc(keys, func(k Key) bool { return k.ID == id })
		if len(left) == len(keys) {
			return nil, fmt.Errorf("%s: %w", path, ErrNoKey)
		}
		return left, nil
	})
}

// change replaces the file of keys as a whole, durably. The new file is also
// the lock between two who change it.
func change(path string, edit func([]Key) ([]Key, error)) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there: another command changes the keys; remove it if none does", next)
	} else if err != nil {
		return err
	}
	defer func() {
		if f.Close(); err != nil {
			os.Remove(next)
		}
	}()
	keys, err := ReadKeys(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if keys, err = edit(keys); err != nil {
		return err
	}
	out := json.NewEncoder(f)
	out.SetIndent("", "  ")
	if err := out.Encode(file{Format: fileFormat, Version: fileVersion, Keys: keys}); err != nil {
		return fmt.Errorf("write %s: %w", next, err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write %s: %w", next, err)
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// heldKey is a key in use, with what it last signed with: that changes once a day.
type heldKey struct {
	Key
	last atomic.Pointer[derived]
}

type derived struct {
	scope string
	key   []byte
}

func (k *heldKey) signing(c *claim) []byte {
	scope := c.scope()
	if d := k.last.Load(); d != nil && d.scope == scope {
		return d.key
	}
	d := &derived{scope, derive(k.Secret, c.day, c.region, c.service)}
	k.last.Store(d)
	return d.key
}
