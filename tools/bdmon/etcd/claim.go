// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"lazystate/backdoor"
)

// entry is what stands under an owner's key.
type entry struct {
	Monitor string `json:"monitor"`
	Epoch   uint64 `json:"epoch"`
}

func decodeEntry(b []byte) (entry, error) {
	var e entry
	if len(b) > longestEntry {
		return e, fmt.Errorf("owner's key: %d bytes", len(b))
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("owner's key: %w", err)
	}
	return e, nil
}

const longestEntry = 4096

// state is what is in etcd about one target.
type state struct {
	owner    entry
	lease    clientv3.LeaseID // of the owner's key
	ownerRev int64            // 0: nobody owns it
	epoch    uint64
	epochRev int64 // 0: nobody ever did
}

func (s *Store) ownerKey(target string) string { return s.o.Prefix + "owners/" + target }
func (s *Store) epochKey(target string) string { return s.o.Prefix + "epochs/" + target }

func (s *Store) look(ctx context.Context, target string) (st state, err error) {
	r, err := s.client.Txn(ctx).Then(clientv3.OpGet(s.ownerKey(target)), clientv3.OpGet(s.epochKey(target))).Commit()
	if err != nil {
		return st, err
	}
	if kvs := r.Responses[0].GetResponseRange().Kvs; len(kvs) == 1 {
		st.ownerRev, st.lease = kvs[0].ModRevision, clientv3.LeaseID(kvs[0].Lease)
		if st.owner, err = decodeEntry(kvs[0].Value); err != nil {
			return st, err
		}
	}
	if kvs := r.Responses[1].GetResponseRange().Kvs; len(kvs) == 1 {
		st.epochRev = kvs[0].ModRevision
		if st.epoch, err = strconv.ParseUint(string(kvs[0].Value), 10, 63); err != nil {
			return st, fmt.Errorf("epoch of %s: %w", target, err)
		}
	}
	return st, nil
}

var (
	errNoLease = errors.New("no lease in etcd")
	errRaced   = errors.New("another monitor was faster")
)

// Number claims a target, with an epoch above one and above all before it.
func (s *Store) Number(ctx context.Context, target string, above uint64) (epoch uint64, until time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	s.ask(target, true)
	defer s.ask(target, false)
	lease, proof, ok := s.present()
	if !ok {
		return 0, 0, errNoLease
	}
	st, err := s.look(ctx, target)
	if err != nil {
		return 0, 0, fmt.Errorf("look for the owner of %s in etcd: %w", target, err)
	}
	if st.ownerRev != 0 && st.lease != lease {
		return 0, 0, &backdoor.OwnedError{By: backdoor.OwnerView{Held: true, Owner: backdoor.Owner{Epoch: st.owner.Epoch, Name: st.owner.Monitor}}}
	}
	h := hold{target: target, epoch: max(st.epoch, above) + 1, lease: lease}
	b, err := json.Marshal(entry{s.o.Self, h.epoch})
	if err != nil {
		return 0, 0, err
	}
	h.value = string(b)
	if err := s.claim(ctx, h, &st); err != nil {
		return 0, 0, fmt.Errorf("claim %s in etcd: %w", target, err)
	}
	return h.epoch, proof, nil
}

func (s *Store) ask(target string, asking bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking[target] = asking
}

// claim puts both keys if nothing has changed since st was read. An answer that
// does not come leaves a key that may be there: it is debris until it is owned.
func (s *Store) claim(ctx context.Context, h hold, st *state) error {
	owner, epochs := s.ownerKey(h.target), s.epochKey(h.target)
	r, err := s.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(owner), "=", st.ownerRev), clientv3.Compare(clientv3.ModRevision(epochs), "=", st.epochRev)).
		Then(clientv3.OpPut(owner, h.value, clientv3.WithLease(h.lease)), clientv3.OpPut(epochs, strconv.FormatUint(h.epoch, 10))).
		Commit()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		s.debris = append(s.debris, h)
		poke(s.hurry)
		return err
	case !r.Succeeded:
		return errRaced
	}
	h.rev = r.Header.Revision
	s.holds[h.target] = h
	return nil
}

// Abandon gives a claim up. What cannot be deleted now is deleted later.
func (s *Store) Abandon(ctx context.Context, target string, epoch uint64) error {
	s.mu.Lock()
	h, ok := s.holds[target]
	if ok && h.epoch == epoch {
		delete(s.holds, target)
	}
	s.mu.Unlock()
	if !ok || h.epoch != epoch {
		return nil
	}
	err := s.remove(ctx, h)
	if err != nil {
		s.mu.Lock()
		s.debris = append(s.debris, h)
		s.mu.Unlock()
		poke(s.hurry)
		return fmt.Errorf("give up %s in etcd: %w", target, err)
	}
	return nil
}

// remove deletes an owner's key if it is still the one of this claim.
func (s *Store) remove(ctx context.Context, h hold) error {
	key := s.ownerKey(h.target)
	_, err := s.client.Txn(ctx).
		If(clientv3.Compare(clientv3.Value(key), "=", h.value), clientv3.Compare(clientv3.LeaseValue(key), "=", h.lease)).
		Then(clientv3.OpDelete(key)).Commit()
	return err
}
