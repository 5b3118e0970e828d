package registry

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os"
)

// bbolt writes its meta page last in a commit, by turns at the first and the
// second page of the file, and opens the file by the newer one that is whole.
// Where the other is not, it may have been the newer one: then the last commit
// is missing, and bbolt says nothing.

// lastWrite is what that means.
const lastWrite = "the newest write may be missing, and all others are there"

// The meta page as bbolt lays it out, in the byte order of the machine: a page
// header, the fields, and an FNV-1a sum of the fields.
const (
	metaAt  = 16
	metaLen = 56
)

// metaDamage says which meta page of a file is not whole; nil: none. It is for
// a file that is open, so that nobody else writes to it.
func (s *store) metaDamage() error {
	file, err := os.Open(s.db.Path())
	if err != nil {
		return err
	}
	defer file.Close()
	for page := range int64(2) {
		meta := make([]byte, metaLen+8)
		if _, err := file.ReadAt(meta, page*int64(s.db.Info().PageSize)+metaAt); err != nil {
			return fmt.Errorf("page %d cannot be read: %w", page, err)
		}
		sum := fnv.New64a()
		sum.Write(meta[:metaLen])
		if sum.Sum64() != binary.NativeEndian.Uint64(meta[metaLen:]) {
			return fmt.Errorf("page %d, one of the two that say where everything is, is damaged", page)
		}
	}
	return nil
}
