// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"lazystate/sensorbox/fleet"
)

const watching = "watching"

// watch follows what all monitors say. Whenever the thread is lost (a compacted
// revision, a server without a leader) it begins with all that is there.
func (s *Store) watch() {
	for s.ctx.Err() == nil {
		rev, err := s.load()
		if err == nil {
			err = s.follow(rev + 1)
		}
		if s.ctx.Err() == nil {
			s.complain(watching, err)
			s.sleep(soon)
		}
	}
}

func (s *Store) monitors() string { return s.o.Prefix + "monitors/" }

// load takes everything as it is now; who was known and is not there has gone.
func (s *Store) load() (rev int64, err error) {
	ctx, cancel := s.request()
	defer cancel()
	r, err := s.client.Get(ctx, s.monitors(), clientv3.WithPrefix())
	if err != nil {
		return 0, fmt.Errorf("read monitors: %w", err)
	}
	missing := maps.Clone(s.known)
	for _, kv := range r.Kvs {
		delete(missing, s.nameOf(kv))
		s.hear(kv)
	}
	for name := range missing {
		s.gone(name)
	}
	s.complain(watching, nil)
	return r.Header.Revision, nil
}

var errNoWatch = errors.New("the watch has ended")

func (s *Store) follow(from int64) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(s.ctx))
	defer cancel()
	for r := range s.client.Watch(ctx, s.o.Prefix, clientv3.WithPrefix(), clientv3.WithRev(from)) {
		if err := r.Err(); err != nil {
			return fmt.Errorf("watch monitors: %w", err)
		}
		for _, ev := range r.Events {
			s.event(ev)
		}
	}
	return errNoWatch
}

func (s *Store) event(ev *clientv3.Event) {
	key := string(ev.Kv.Key)
	target, owner := strings.CutPrefix(key, s.o.Prefix+"owners/")
	switch {
	case owner && ev.Type == clientv3.EventTypeDelete:
		s.dropped(target, ev.Kv.ModRevision)
	case owner:
		s.appeared(target, ev.Kv)
	case !strings.HasPrefix(key, s.monitors()):
	case ev.Type == clientv3.EventTypeDelete:
		s.gone(s.nameOf(ev.Kv))
	default:
		s.hear(ev.Kv)
	}
}

func (s *Store) nameOf(kv *mvccpb.KeyValue) string {
	return strings.TrimPrefix(string(kv.Key), s.monitors())
}

// hear takes a report. Its key is made anew in each life of its monitor, so the
// revision of that is the number of the connection.
func (s *Store) hear(kv *mvccpb.KeyValue) {
	name := s.nameOf(kv)
	if name == s.o.Self {
		return
	}
	r, err := fleet.DecodeReport(kv.Value)
	if err == nil && r.Monitor != name {
		err = fmt.Errorf("it speaks for %q", r.Monitor)
	}
	if err != nil {
		s.o.Log.Warn("a monitor in etcd", "monitor", name, "err", err)
		return
	}
	r.Seq = uint64(kv.ModRevision)
	s.known[name] = true
	s.o.Heard(uint64(kv.CreateRevision), r)
}

func (s *Store) gone(name string) {
	if s.known[name] {
		delete(s.known, name)
		s.o.Gone(name, "its lease in etcd has ended")
	}
}

// dropped: the key of an owner was deleted. If it is this monitor's and it did
// not do that itself, somebody else may own the target from now on.
func (s *Store) dropped(target string, rev int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h, ok := s.holds[target]; ok && rev > h.rev {
		delete(s.holds, target)
	}
}

// appeared: an owner's key was put. One of this monitor's that nobody waits for
// any more came of a claim whose answer was lost, and keeps others out.
func (s *Store) appeared(target string, kv *mvccpb.KeyValue) {
	e, err := decodeEntry(kv.Value)
	if err != nil || e.Monitor != s.o.Self {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if h, ok := s.holds[target]; ok && h.epoch == e.Epoch || s.asking[target] || kv.Lease != int64(s.lease) {
		return
	}
	s.debris = append(s.debris, hold{target: target, epoch: e.Epoch, lease: s.lease, value: string(kv.Value)})
	poke(s.hurry)
}
