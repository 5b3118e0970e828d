package registry

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"
)

// bbolt goes from page to page without a look at where it has been: one that
// points back leads it round until the memory is full, or down until the stack
// is, and no recover ends that. So the way is gone once before bbolt goes it.

// A page as bbolt lays it out, in the byte order of the machine: a header with
// flags and a number of elements, and the elements. That of a branch ends with
// the page that it points to; that of a leaf says where its key and value are.
const (
	pageHeadLen = 16
	elementLen  = 16
	branchFlag  = 0x01
	leafFlag    = 0x02
	bucketFlag  = 0x01 // of a leaf's element
	bucketLen   = 16   // of its value: the root page, or 0 and the page itself after it
)

// checkPages is an error unless each page that bbolt would come to is in one
// place. The file is open, so that nobody else writes to it.
func (s *store) checkPages() error {
	file, err := os.Open(s.db.Path())
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	size := int64(s.db.Info().PageSize)
	w := pageWalk{file: file, size: size, seen: make([]bool, info.Size()/size)}
	err = s.db.View(func(tx *bbolt.Tx) error {
		return w.tree(uint64(tx.Cursor().Bucket().RootPage()), w.buckets)
	})
	if err != nil {
		return fmt.Errorf("the file is damaged: %w", err)
	}
	return nil
}

// pageWalk remembers which pages it has seen.
type pageWalk struct {
	file io.ReaderAt
	size int64 // of a page
	seen []bool
}

// tree goes through the pages below root, and calls leaf for each leaf.
func (w *pageWalk) tree(root uint64, leaf func(at int64, elements []byte) error) error {
	for todo := []uint64{root}; len(todo) > 0; {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if id >= uint64(len(w.seen)) {
			return fmt.Errorf("page %d is pointed to and not there", id)
		}
		if w.seen[id] {
			return fmt.Errorf("page %d is pointed to twice", id)
		}
		w.seen[id] = true
		at := int64(id) * w.size
		flags, count, err := w.head(at)
		switch {
		case err != nil:
			return err
		case flags == leafFlag && leaf == nil:
			continue
		case flags != branchFlag && flags != leafFlag:
			return fmt.Errorf("page %d has no rows and is pointed to for them", id)
		}
		elements, err := w.read(at+pageHeadLen, count*elementLen)
		if err != nil {
			return err
		}
		if flags == leafFlag {
			if err := leaf(at+pageHeadLen, elements); err != nil {
				return err
			}
			continue
		}
		for ; len(elements) > 0; elements = elements[elementLen:] {
			todo = append(todo, binary.NativeEndian.Uint64(elements[8:]))
		}
	}
	return nil
}

// buckets goes through the buckets of a leaf. Only the root's leaves have any
// that bbolt is asked for.
func (w *pageWalk) buckets(at int64, elements []byte) error {
	for ; len(elements) > 0; elements, at = elements[elementLen:], at+elementLen {
		if binary.NativeEndian.Uint32(elements)&bucketFlag == 0 {
			continue
		}
		value := at + int64(binary.NativeEndian.Uint32(elements[4:])) + int64(binary.NativeEndian.Uint32(elements[8:]))
		bucket, err := w.read(value, bucketLen)
		if err != nil {
			return err
		}
		if root := binary.NativeEndian.Uint64(bucket); root != 0 {
			if err := w.tree(root, nil); err != nil {
				return err
			}
			continue
		}
		switch flags, _, err := w.head(value + bucketLen); {
		case err != nil:
			return err
		case flags != leafFlag: // a branch, and the only page that it can point to is itself
			return fmt.Errorf("the page of a bucket at %d is no leaf", value)
		}
	}
	return nil
}

func (w *pageWalk) head(at int64) (flags, count int, err error) {
	head, err := w.read(at, pageHeadLen)
	if err != nil {
		return 0, 0, err
	}
	return int(binary.NativeEndian.Uint16(head[8:])), int(binary.NativeEndian.Uint16(head[10:])), nil
}

func (w *pageWalk) read(at int64, n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := w.file.ReadAt(b, at); err != nil {
		return nil, fmt.Errorf("read at %d: %w", at, err)
	}
	return b, nil
}
