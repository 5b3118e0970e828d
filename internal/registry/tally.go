package registry

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"
)

// A row says by its checksum that it is whole. That no row is missing, or is
// one of yesterday, the tally says, which every commit writes along: a damaged
// page can hide rows without a trace otherwise.

const tallyKey = "tally"

// tallied are the buckets that are counted, in the order of tallies.
var tallied = [...]string{bucketNamespaces, bucketServices, bucketInstances, bucketOperations}

// tally is the number of rows of a bucket and the sum of their checksums.
type tally struct {
	Rows int    `json:"rows"`
	Sum  uint64 `json:"sum"`
}

type tallies [len(tallied)]tally

// replace counts the new value of a row instead of the old one; nil is none.
func (t *tallies) replace(bucket string, old, value []byte) {
	for i, name := range tallied {
		if name != bucket {
			continue
		}
		if old != nil {
			t[i].Rows--
			t[i].Sum -= uint64(binary.BigEndian.Uint32(old))
		}
		if value != nil {
			t[i].Rows++
			t[i].Sum += uint64(binary.BigEndian.Uint32(value))
		}
	}
}

func (t tallies) put(tx *bbolt.Tx) error {
	encoded, err := encodeRow(bucketMeta, tallyKey, t)
	if err != nil {
		return err
	}
	return tx.Bucket([]byte(bucketMeta)).Put([]byte(tallyKey), encoded)
}

// countRows counts rows whose checksums are right.
func countRows(tx *bbolt.Tx) (t tallies, err error) {
	for _, bucket := range tallied {
		err := tx.Bucket([]byte(bucket)).ForEach(func(_, encoded []byte) error {
			t.replace(bucket, nil, encoded)
			return nil
		})
		if err != nil {
			return t, err
		}
	}
	return t, nil
}

// check compares what was counted with what the file says.
func (t tallies) check(tx *bbolt.Tx) error {
	var written tallies
	meta := tx.Bucket([]byte(bucketMeta))
	if err := decodeRow(bucketMeta, []byte(tallyKey), meta.Get([]byte(tallyKey)), &written); err != nil {
		return err
	}
	for i, bucket := range tallied {
		if t[i].Rows != written[i].Rows {
			return fmt.Errorf("%s are damaged: %d of %d are there", bucket, t[i].Rows, written[i].Rows)
		}
		if t[i] != written[i] {
			return fmt.Errorf("%s are damaged: some are not as they were last written", bucket)
		}
	}
	return nil
}
