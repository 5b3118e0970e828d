package registry_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"
)

// TestPagesThatPointBack: bbolt would go round for ever, so such a file is
// refused before bbolt reads it. Pages that are free still have their old
// flags; the others have to be refused.
func TestPagesThatPointBack(t *testing.T) {
	file, export := wholeFile(t)
	dir, size := t.TempDir(), os.Getpagesize()
	refused, tried := 0, 0
	try := func(damaged []byte) {
		tried++
		if checkDamaged(t, dir, damaged, export) {
			refused++
		}
	}
	for at := 2 * size; at < len(file); at += size {
		flags, count := binary.NativeEndian.Uint16(file[at+8:]), int(binary.NativeEndian.Uint16(file[at+10:]))
		if flags != 1 {
			continue
		}
		for i := range min(count, 3) {
			first := binary.NativeEndian.Uint64(file[at+16+8:])
			for _, to := range []uint64{uint64(at / size), 0, 1 << 40, first} {
				damaged := bytes.Clone(file)
				binary.NativeEndian.PutUint64(damaged[at+16+16*i+8:], to)
				if !bytes.Equal(damaged, file) {
					try(damaged)
				}
			}
		}
	}
	if refused == 0 {
		t.Errorf("none of %d files was refused: the test damages nothing", tried)
	}

	// A bucket that is small has its page in its value: a page 0, and so is
	// what it points to where it is a branch.
	refused, tried = 0, 0
	inline := append(make([]byte, 16+8), 2, 0)
	for at := 2 * size; at < len(file); at++ {
		if bytes.HasPrefix(file[at:], inline) && at%size != 0 {
			damaged := bytes.Clone(file)
			damaged[at+16+8] = 1
			clear(damaged[at+16+16+8 : at+16+16+16])
			try(damaged)
		}
	}
	if refused == 0 {
		t.Errorf("none of %d files with a bucket that points to itself was refused: the test damages nothing", tried)
	}
	t.Logf("%d of %d refused", refused, tried)
}
