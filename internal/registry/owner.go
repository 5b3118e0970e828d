package registry

import (
	"cmp"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// What a registry is of where neither Options nor its file say it.
const (
	DefaultAccount = "000000000000"
	DefaultRegion  = "us-east-1"
)

// owner is whose a registry is. The file has it, so that a registry that is
// started anew, exported or imported keeps its ARNs. Files from before that
// have no such row.
type owner struct {
	Account string `json:"account"`
	Region  string `json:"region"`
}

const ownerKey = "owner"

// Account is the id of the account that owns every resource of the registry.
func (r *Registry) Account() string { return r.opts.Account }

// Region is the region that stands in the ARNs of the registry.
func (r *Registry) Region() string { return r.opts.Region }

// settleOwner fills in what Options leave open, and notes the outcome.
func (r *Registry) settleOwner() error {
	stored, err := r.store.owner()
	if err != nil {
		return err
	}
	settled := owner{
		Account: cmp.Or(r.opts.Account, stored.Account, DefaultAccount),
		Region:  cmp.Or(r.opts.Region, stored.Region, DefaultRegion),
	}
	r.opts.Account, r.opts.Region = settled.Account, settled.Region
	if r.store == nil || settled == stored {
		return nil
	}
	encoded, err := encodeRow(bucketMeta, ownerKey, settled)
	if err == nil {
		err = r.store.write([]row{{bucketMeta, ownerKey, encoded}})
	}
	if err != nil {
		return fmt.Errorf("note the account and region in the registry: %w", err)
	}
	return nil
}

// owner is what the file says; empty where it says nothing.
func (s *store) owner() (o owner, err error) {
	if s == nil {
		return o, nil
	}
	err = guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			meta := tx.Bucket([]byte(bucketMeta))
			if meta == nil {
				return errors.New("meta is missing")
			}
			encoded := meta.Get([]byte(ownerKey))
			if encoded == nil {
				return nil
			}
			return decodeRow(bucketMeta, []byte(ownerKey), encoded, &o)
		})
	})
	if err != nil {
		return owner{}, fmt.Errorf("read registry %s: %w", s.db.Path(), err)
	}
	return o, nil
}
