// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"lazystate/sensorbox/fleet"
)

// ErrLost: what was claimed is not this monitor's any more.
var ErrLost = errors.New("the claim in etcd is lost")

// Options of a Store.
type Options struct {
	// Connect is called until it succeeds: with a user's name a client is
	// made only by an etcd that answers. What it made is closed by Close.
	Connect func() (*clientv3.Client, error)

	Prefix string // begins and ends with a slash
	Self   string
	TTL    time.Duration // of the lease, in whole seconds
	Clock  func() time.Duration
	Heard  func(conn uint64, r *fleet.Report)
	Gone   func(monitor, why string)
	Log    *slog.Logger
}

// Store is one monitor's part of what is in etcd.
type Store struct {
	o      Options
	client *clientv3.Client // there before a lease is
	ctx    context.Context
	stop   context.CancelFunc
	tasks  sync.WaitGroup
	news   chan struct{} // a report is to be put
	hurry  chan struct{} // a key is to be deleted
	known  map[string]bool

	mu     sync.Mutex
	silent map[string]bool  // what etcd does not answer, and that was told
	lease  clientv3.LeaseID // 0: none
	proof  time.Duration    // until when it is surely there
	holds  map[string]hold
	asking map[string]bool // targets that are being claimed
	debris []hold          // keys that may be there and must not
	report *fleet.Report
}

// hold is a target that is claimed.
type hold struct {
	target string
	epoch  uint64
	lease  clientv3.LeaseID
	value  string
	rev    int64 // when it was put
}

// bound is how long one request may take.
const bound = 2 * time.Second

// New joins the others, in the background.
func New(o Options) (*Store, error) {
	if o.TTL < 2*time.Second || o.TTL%time.Second != 0 {
		return nil, fmt.Errorf("etcd lease of %v: want whole seconds, at least two", o.TTL)
	}
	s := &Store{
		o: o, news: make(chan struct{}, 1), hurry: make(chan struct{}, 1), known: map[string]bool{},
		holds: map[string]hold{}, asking: map[string]bool{}, silent: map[string]bool{},
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.tasks.Go(func() {
		if s.connect() {
			s.tasks.Go(s.watch)
			s.stay()
		}
	})
	return s, nil
}

// connect returns false if the end comes first.
func (s *Store) connect() bool {
	for s.ctx.Err() == nil {
		client, err := s.o.Connect()
		if s.complain(presence, err); err == nil {
			s.client = client
			return true
		}
		s.sleep(later)
	}
	return false
}

// Close takes this monitor's keys away: nobody has to wait for its lease.
func (s *Store) Close() error {
	s.stop()
	s.tasks.Wait()
	s.mu.Lock()
	lease := s.lease
	s.lease, s.proof = 0, 0
	s.mu.Unlock()
	if s.client == nil {
		return nil
	}
	var err error
	if lease != 0 {
		ctx, cancel := context.WithTimeout(context.Background(), bound)
		defer cancel()
		_, err = s.client.Revoke(ctx, lease)
	}
	return errors.Join(err, s.client.Close())
}

// Tell puts a report where the others see it, if it says something new.
func (s *Store) Tell(r *fleet.Report) {
	s.mu.Lock()
	same := s.report != nil && sameNews(s.report, r)
	s.report = r
	s.mu.Unlock()
	if !same {
		poke(s.news)
	}
}

func sameNews(a, b *fleet.Report) bool {
	if a.Leaving != b.Leaving || a.Weight != b.Weight || len(a.Lines) != len(b.Lines) {
		return false
	}
	for i := range a.Lines {
		if a.Lines[i] != b.Lines[i] {
			return false
		}
	}
	return true
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (s *Store) now() time.Duration { return s.o.Clock() }

// present returns the lease and its proof, if that has not run out.
func (s *Store) present() (clientv3.LeaseID, time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lease, s.proof, s.lease != 0 && s.now() < s.proof
}

// Proof tells until when a claim is proven.
func (s *Store) Proof(target string, epoch uint64) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.holds[target]
	if !ok || h.epoch != epoch || h.lease != s.lease {
		return 0, ErrLost
	}
	return s.proof, nil
}
