// SPDX-License-Identifier: Apache-2.0

package rdma

import (
	"fmt"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

// session is one grant of the target's, with its regions as they were then.
type session struct {
	grant uapi.Grant
	root  uapi.Root
	table []backdoor.Region
	self  *binding // of the table itself, the first that is read
	open  bool     // the table was read; of the lane's lock
}

// binding is what a caller bound, with the keys that it read in some session.
type binding struct {
	regions []backdoor.Region
	session *session
}

// key returns a bound region's key in this session. Keys are a grant's own, so
// those of an earlier session are translated by what the region is.
func (s *session) key(b *binding, i int) (uint32, error) {
	r := &b.regions[i]
	if b.session == s {
		return r.Key, nil
	}
	if r.BootID != backdoor.BootID(s.root.BootID) {
		return 0, fmt.Errorf("region %s is of boot %s, the target is at %s: %w", r.Name, r.BootID, backdoor.BootID(s.root.BootID), backdoor.ErrReplaced)
	}
	for j := range s.table {
		if t := &s.table[j]; t.Kind == r.Kind && t.Name == r.Name && t.Addr == r.Addr && t.Len == r.Len {
			return t.Key, nil
		}
	}
	if r.Kind == uapi.KindTable {
		return s.root.TableKey, nil
	}
	return 0, fmt.Errorf("region %s is offered no more: %w", r.Name, backdoor.ErrWithdrawn)
}

// region returns the session's region of a kind.
func (s *session) region(kind uint32) (backdoor.Region, error) {
	for _, r := range s.table {
		if r.Kind == kind {
			return r, nil
		}
	}
	return backdoor.Region{}, fmt.Errorf("target offers no region of kind %q: %w", uapi.RegionKindName(kind), backdoor.ErrNoRegion)
}

// writes reports whether the grant lets this monitor write anything.
func (s *session) writes() bool {
	for i := range s.table {
		if s.table[i].Perm&backdoor.PermWrite != 0 {
			return true
		}
	}
	return false
}

// tableRegion is where a root says that the table lies.
func tableRegion(root *uapi.Root) backdoor.Region {
	return backdoor.Region{
		Name: "table", Kind: uapi.KindTable, Perm: backdoor.PermRead, Addr: root.TableAddr, Len: uint64(root.TableLen),
		Key: root.TableKey, Generation: root.Generation, BootID: root.BootID,
	}
}
