package registry

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sync/errgroup"
)

// The buckets of the file. Keys are ids, serviceID/instanceID, and sequence
// numbers; a value is the CRC-32C of bucket, key and JSON, and then the JSON.
const (
	bucketMeta       = "meta"
	bucketNamespaces = "namespaces"
	bucketServices   = "services"
	bucketInstances  = "instances"
	bucketOperations = "operations"
)

// A row of the meta bucket says what the file is, another whose (see owner).
// Raise formatVersion when an older build would misread the rows.
const (
	formatKey     = "format"
	formatName    = "mapwarden registry"
	formatVersion = 2
)

// Format 1 had no tally row. It is upgraded when it is opened for writing.

type format struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
}

// lockWait is how long openStore waits for another process to let go.
const lockWait = time.Second

// store is the file of a registry; nil is a store that forgets. It is used
// under the commit lock only.
type store struct {
	db      *bbolt.DB
	version int          // of the file's format
	tally   tallies      // of the rows in the file
	commits atomic.Int64 // so far; may be read at any time
}

// row is one key of one bucket with its new value; nil removes it.
type row struct {
	bucket, key string
	value       []byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeRow(bucket, key string, value any) ([]byte, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode %s %s: %w", bucket, key, err)
	}
	encoded := make([]byte, 4, 4+len(body))
	binary.BigEndian.PutUint32(encoded, checksum(bucket, []byte(key), body))
	return append(encoded, body...), nil
}

func decodeRow(bucket string, key, encoded []byte, into any) error {
	if len(encoded) < 4 || binary.BigEndian.Uint32(encoded) != checksum(bucket, key, encoded[4:]) {
		return fmt.Errorf("%s %q is damaged: its checksum is wrong", bucket, key)
	}
	if err := json.Unmarshal(encoded[4:], into); err != nil {
		return fmt.Errorf("%s %q is damaged: %w", bucket, key, err)
	}
	return nil
}

func checksum(bucket string, key, body []byte) uint32 {
	sum := crc32.Update(0, castagnoli, []byte(bucket))
	sum = crc32.Update(sum, castagnoli, key)
	return crc32.Update(sum, castagnoli, body)
}

// seqKey spells a sequence number so that keys sort like numbers.
func seqKey(seq uint64) string { return fmt.Sprintf("%016x", seq) }

// openStore opens the file at path, or makes it if there is none.
func openStore(path string) (*store, error) {
	_, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := createStore(path); err != nil {
			return nil, fmt.Errorf("create registry %s: %w", path, err)
		}
	case err != nil:
		return nil, fmt.Errorf("open registry: %w", err)
	}
	return openExisting(path, bbolt.Options{})
}

// openExisting opens the file at path and checks that it is a registry.
func openExisting(path string, how bbolt.Options) (*store, error) {
	s, err := openFile(path, how)
	if err != nil {
		return nil, fmt.Errorf("open registry %s: %w", path, err)
	}
	err = s.checkPages()
	if err == nil {
		err = s.checkFormat()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open registry %s: %w", path, err), s.close())
	}
	return s, nil
}

// createStore makes an empty registry under another name and moves it into
// place, so that a crash leaves a whole file or none, and an existing file that
// is empty can only be a damaged one.
func createStore(path string) (err error) {
	dir := filepath.Dir(path)
	temp, err := os.MkdirTemp(dir, ".new-registry-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	s, err := openFile(filepath.Join(temp, "registry"), bbolt.Options{})
	if err != nil {
		return err
	}
	err = s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range []string{bucketMeta, bucketNamespaces, bucketServices, bucketInstances, bucketOperations} {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		return errors.Join(putFormat(tx), tallies{}.put(tx))
	})
	if err = errors.Join(err, s.close()); err != nil {
		return err
	}
	// Link, unlike rename, never replaces what another process made meanwhile.
	if err := os.Link(filepath.Join(temp, "registry"), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// openFile opens a bbolt file. The library panics, or reads memory that is not
// there, on many kinds of damage; both become errors.
func openFile(path string, how bbolt.Options) (s *store, err error) {
	if info, err := os.Stat(path); err == nil && info.Size() == 0 {
		return nil, errors.New("the file is empty, so it lost what it held; move it away to start anew")
	}
	var file *os.File
	open := func(name string, flag int, perm os.FileMode) (*os.File, error) {
		file, err = os.OpenFile(name, flag, perm)
		return file, err
	}
	how.Timeout, how.OpenFile = lockWait, open
	err = guard(func() error {
		db, err := bbolt.Open(path, 0o600, &how)
		s = &store{db: db}
		return err
	})
	switch {
	case err == nil:
		return s, nil
	case errors.Is(err, berrors.ErrTimeout):
		return nil, ErrInUse
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		err = fmt.Errorf("not a registry, or damaged: %w", err)
	}
	if file != nil {
		file.Close() // also lets go of the lock; closed already where bbolt gave up by itself
	}
	return nil, err
}

// guard turns a panic and a memory fault in f into an error.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(runtime.Error); ok {
				p = "its pages do not hold together"
			}
			err = fmt.Errorf("the file is damaged: %v", p)
		}
	}()
	return f()
}

func (s *store) checkFormat() error {
	return guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			meta := tx.Bucket([]byte(bucketMeta))
			if meta == nil {
				return errors.New("it belongs to another program: it does not say that it is a registry")
			}
			var f format
			if err := decodeRow(bucketMeta, []byte(formatKey), meta.Get([]byte(formatKey)), &f); err != nil {
				return err
			}
			switch {
			case f.Name != formatName:
				return fmt.Errorf("it is a %q, not a registry", f.Name)
			case f.Version > formatVersion:
				return fmt.Errorf("it has format %d of a newer build; this build reads format %d", f.Version, formatVersion)
			}
			s.version = f.Version
			return nil
		})
	})
}

func putFormat(tx *bbolt.Tx) error {
	encoded, err := encodeRow(bucketMeta, formatKey, format{formatName, formatVersion})
	if err != nil {
		return err
	}
	return tx.Bucket([]byte(bucketMeta)).Put([]byte(formatKey), encoded)
}

// upgrade gives a file that was loaded the newest format.
func (s *store) upgrade() error {
	if s == nil || s.version == formatVersion {
		return nil
	}
	err := s.db.Update(func(tx *bbolt.Tx) error { return errors.Join(putFormat(tx), s.tally.put(tx)) })
	if err != nil {
		return fmt.Errorf("upgrade registry %s: %w", s.db.Path(), err)
	}
	s.version = formatVersion
	return nil
}

// write makes the rows durable, all or none.
func (s *store) write(rows []row) error {
	if s == nil || len(rows) == 0 {
		return nil
	}
	s.commits.Add(1)
	next := s.tally
	err := s.db.Update(func(tx *bbolt.Tx) error {
		for _, row := range rows {
			b := tx.Bucket([]byte(row.bucket))
			next.replace(row.bucket, b.Get([]byte(row.key)), row.value)
			var err error
			if row.value == nil {
				err = b.Delete([]byte(row.key))
			} else {
				err = b.Put([]byte(row.key), row.value)
			}
			if err != nil {
				return fmt.Errorf("%s %s: %w", row.bucket, row.key, err)
			}
		}
		return next.put(tx)
	})
	if err == nil {
		s.tally = next
	}
	return err
}

// load fills an empty state. Every row is read and checked.
func (s *store) load(st *state) error {
	if s == nil {
		return nil
	}
	err := guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			for _, load := range []func(*bbolt.Tx, *state) error{loadNamespaces, loadServices, loadOperations, loadInstances} {
				if err := load(tx, st); err != nil {
					return err
				}
			}
			found, err := countRows(tx)
			if err == nil && s.version > 1 {
				err = found.check(tx)
			}
			s.tally = found
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("read registry %s: %w", s.db.Path(), err)
	}
	return nil
}

// each decodes the rows of a bucket on all processors, which is most of the
// work of a start, and then uses them one by one, in order.
func each[T any](tx *bbolt.Tx, bucket string, use func(key string, value *T) error) error {
	b := tx.Bucket([]byte(bucket))
	if b == nil {
		return fmt.Errorf("%s are missing", bucket)
	}
	type stored struct {
		key, encoded []byte
		value        *T
	}
	var rows []stored
	err := b.ForEach(func(key, encoded []byte) error {
		rows = append(rows, stored{key, encoded, new(T)})
		return nil
	})
	if err != nil {
		return err
	}
	var workers errgroup.Group
	for part := range slices.Chunk(rows, len(rows)/runtime.GOMAXPROCS(0)+1) {
		workers.Go(func() error {
			return guard(func() error { // the rows are in the file's pages
				for _, r := range part {
					if err := decodeRow(bucket, r.key, r.encoded, r.value); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	if err := workers.Wait(); err != nil {
		return err
	}
	for _, r := range rows {
		if err := use(string(r.key), r.value); err != nil {
			return err
		}
	}
	return nil
}

func loadNamespaces(tx *bbolt.Tx, st *state) error {
	return each(tx, bucketNamespaces, func(id string, ns *Namespace) error {
		st.byNamespace[id] = ns
		st.seq = max(st.seq, ns.Seq)
		return nil
	})
}

func loadServices(tx *bbolt.Tx, st *state) error {
	return each(tx, bucketServices, func(id string, svc *Service) error {
		ns := st.byNamespace[svc.NamespaceID]
		if ns == nil {
			return fmt.Errorf("service %s belongs to namespace %s, which is missing", id, svc.NamespaceID)
		}
		ns.ServiceCount++
		st.byService[id] = &serviceState{service: svc}
		st.byName[nameIn(ns, svc.Name)] = id
		return nil
	})
}

// loadInstances comes after loadOperations, so that an instance and the
// operation that registered it share their strings.
func loadInstances(tx *bbolt.Tx, st *state) error {
	return each(tx, bucketInstances, func(key string, inst *Instance) error {
		serviceID, _, _ := strings.Cut(key, "/")
		svc := st.byService[serviceID]
		if svc == nil {
			return fmt.Errorf("instance %s belongs to a service that is missing", key)
		}
		if op := st.byOperation[inst.RegisteredBy]; op != nil && op.Targets.Instance == inst.ID {
			inst.RegisteredBy, inst.ID = op.ID, op.Targets.Instance
		}
		svc.instances = append(svc.instances, inst)
		return nil
	})
}

// sharedStrings has one of each string that many operations have.
type sharedStrings map[string]string

func (s sharedStrings) one(text string) string {
	if known, ok := s[text]; ok {
		return known
	}
	s[text] = text
	return text
}

func (s sharedStrings) in(op *operation) {
	op.Type, op.Status = OperationType(s.one(string(op.Type))), OperationStatus(s.one(string(op.Status)))
	op.NamespaceID, op.ServiceID = s.one(op.NamespaceID), s.one(op.ServiceID)
	op.Targets.Namespace, op.Targets.Service = s.one(op.Targets.Namespace), s.one(op.Targets.Service)
}

func loadOperations(tx *bbolt.Tx, st *state) error {
	shared := sharedStrings{}
	return each(tx, bucketOperations, func(_ string, op *operation) error {
		shared.in(op)
		if !op.done() && op.ServiceID != "" && st.byService[op.ServiceID] == nil {
			return fmt.Errorf("operation %s is on service %s, which is missing", op.ID, op.ServiceID)
		}
		st.replaceOperation(op)
		return nil
	})
}

func (s *store) close() error {
	if s == nil {
		return nil
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close registry: %w", err)
	}
	return nil
}
