// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"lazystate/sensorbox/fleet"
)

// Pauses after what failed.
const (
	soon  = 200 * time.Millisecond
	later = time.Second
)

var errNamesake = errors.New("another monitor of this name is in etcd, or this one's last life, whose lease has not ended")

const presence = "presence"

// stay keeps a lease, and a report that lives by it.
func (s *Store) stay() {
	for s.ctx.Err() == nil {
		err := s.life()
		if s.ctx.Err() != nil {
			return
		}
		s.complain(presence, err)
		pause := soon
		if errors.Is(err, errNamesake) {
			pause = later
		}
		s.sleep(pause)
	}
}

func (s *Store) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.ctx.Done():
	}
}

// complain tells once that etcd does not answer, and once that it does.
func (s *Store) complain(about string, err error) {
	s.mu.Lock()
	was := s.silent[about]
	s.silent[about] = err != nil
	s.mu.Unlock()
	switch {
	case err != nil && !was:
		s.o.Log.Warn("etcd: "+about, "err", err)
	case err == nil && was:
		s.o.Log.Info("etcd: " + about + " goes on")
	}
}

func (s *Store) request() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.ctx, bound)
}

// life is one lease, from its grant to its end.
func (s *Store) life() error {
	sent := s.now()
	ctx, cancel := s.request()
	g, err := s.client.Grant(ctx, int64(s.o.TTL/time.Second))
	cancel()
	if err != nil {
		return fmt.Errorf("ask for a lease: %w", err)
	}
	if err := s.register(g.ID); err != nil {
		s.revoke(g.ID)
		return err
	}
	s.mu.Lock()
	s.lease, s.proof = g.ID, fleet.Proof(sent, time.Duration(g.TTL)*time.Second)
	s.mu.Unlock()
	s.complain(presence, nil)
	err = s.keep(g.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() == nil { // else Close revokes it
		s.lease, s.proof = 0, 0
	}
	return err
}

func (s *Store) revoke(id clientv3.LeaseID) {
	ctx, cancel := s.request()
	defer cancel()
	_, _ = s.client.Revoke(ctx, id) // it ends by itself otherwise
}

func (s *Store) monitorKey() string { return s.o.Prefix + "monitors/" + s.o.Self }

// register puts the first report, if nobody of this name is there.
func (s *Store) register(id clientv3.LeaseID) error {
	text, err := s.text()
	if err != nil {
		return err
	}
	ctx, cancel := s.request()
	defer cancel()
	key := s.monitorKey()
	r, err := s.client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, text, clientv3.WithLease(id))).Commit()
	switch {
	case err != nil:
		return fmt.Errorf("register: %w", err)
	case !r.Succeeded:
		return errNamesake
	}
	return nil
}

// text is the present report; one without lines where none was told yet.
func (s *Store) text() (string, error) {
	s.mu.Lock()
	r := s.report
	s.mu.Unlock()
	if r == nil {
		r = &fleet.Report{Version: fleet.ReportVersion, Monitor: s.o.Self}
	}
	b, err := r.Encode()
	return string(b), err
}

// keep renews the lease four times in its length, and puts what is new.
func (s *Store) keep(id clientv3.LeaseID) error {
	tick := time.NewTicker(s.o.TTL / 4)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-tick.C:
			err = s.renew(id)
		case <-s.news:
			err = s.put(id)
		case <-s.hurry:
		case <-s.ctx.Done():
			return nil
		}
		s.sweep()
		switch {
		case errors.Is(err, rpctypes.ErrLeaseNotFound):
			return err
		case err != nil:
			s.complain(presence, err)
			s.sleep(soon)
			poke(s.news) // what failed is tried again, whatever it was
		default:
			s.complain(presence, nil)
		}
	}
}

func (s *Store) renew(id clientv3.LeaseID) error {
	sent := s.now()
	ctx, cancel := s.request()
	defer cancel()
	r, err := s.client.KeepAliveOnce(ctx, id)
	if err != nil {
		return fmt.Errorf("renew the lease: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proof = max(s.proof, fleet.Proof(sent, time.Duration(r.TTL)*time.Second))
	return nil
}

// put writes the report, and renews the lease on the way.
func (s *Store) put(id clientv3.LeaseID) error {
	text, err := s.text()
	if err != nil {
		return err
	}
	ctx, cancel := s.request()
	_, err = s.client.Put(ctx, s.monitorKey(), text, clientv3.WithLease(id))
	cancel()
	if err != nil {
		return fmt.Errorf("put the report: %w", err)
	}
	return s.renew(id)
}

// sweep deletes keys that should have gone.
func (s *Store) sweep() {
	s.mu.Lock()
	debris := s.debris
	s.debris = nil
	s.mu.Unlock()
	for _, h := range debris {
		ctx, cancel := s.request()
		err := s.remove(ctx, h)
		cancel()
		if err != nil {
			s.mu.Lock()
			s.debris = append(s.debris, h)
			s.mu.Unlock()
		}
	}
}
