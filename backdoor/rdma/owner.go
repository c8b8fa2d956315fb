// SPDX-License-Identifier: Apache-2.0

package rdma

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

// place is this side's hold on the writer's place: the target's own record of who
// owns it (bd_owner_req), which it or the guard in front of it enforces.
type place struct {
	mu       sync.Mutex
	writable bool // without an epoch: Options.Writable
	owner    backdoor.Owner
	until    time.Time // this side must have stopped
}

func (p *place) mayWrite() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writable || p.owner.Epoch > 0 && time.Now().Before(p.until)
}

func (p *place) set(o backdoor.Owner, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owner, p.until = o, until
	p.writable = false
}

const (
	usualLease = 10 * time.Second
	ownerPoll  = time.Millisecond
	ownerTime  = 5 * time.Second // for the target to answer a record
	ownerTries = 8               // reads of a record that is being written
)

var errTornOwner = errors.New("the owner's record changes while it is read")

// Owner implements backdoor.WritersPlace.
func (m *Memory) Owner(ctx context.Context) (backdoor.OwnerView, error) {
	ack, err := m.ownerAck(ctx)
	if err != nil {
		return backdoor.OwnerView{}, fmt.Errorf("owner of target: %w", err)
	}
	return view(ack), nil
}

func view(a *uapi.OwnerAck) backdoor.OwnerView {
	v := backdoor.OwnerView{Owner: backdoor.Owner{Epoch: uint64(a.Epoch), Monitor: a.Owner}}
	if a.Owner != uapi.OwnerNone && a.LeaseEndNs > a.NowNs {
		v.Held, v.Left = true, time.Duration(min(a.LeaseEndNs-a.NowNs, math.MaxInt64))
	}
	return v
}

// ownerAck reads the target's answers, once they stand still.
func (m *Memory) ownerAck(ctx context.Context) (*uapi.OwnerAck, error) {
	buf := make([]byte, uapi.OwnerAckSize)
	for range ownerTries {
		if err := m.onRegion(ctx, uapi.KindOwnerAck, func(r *backdoor.Region) backdoor.Op { return r.Read(0, buf) }); err != nil {
			return nil, err
		}
		var a uapi.OwnerAck
		if err := a.Decode(buf); err != nil || a.Magic != uapi.OwnerMagic {
			return nil, fmt.Errorf("owner record: magic %#x", a.Magic)
		}
		if a.Seq%2 == 0 {
			return &a, nil
		}
	}
	return nil, errTornOwner
}

// onRegion runs operations on the current grant's region of a kind, whatever the
// caller of Post has bound.
func (m *Memory) onRegion(ctx context.Context, kind uint32, ops ...func(*backdoor.Region) backdoor.Op) error {
	s := m.session.Load()
	if s == nil {
		return errLost
	}
	r, err := s.region(kind)
	if err != nil {
		return err
	}
	b := backdoor.NewBatch()
	j := &job{b: b, to: &binding{regions: []backdoor.Region{r}, session: s}, limit: len(ops), region: make([]int, len(ops))}
	for _, op := range ops {
		b.Ops = append(b.Ops, op(&r))
	}
	m.lanes[0].add(j)
	return b.Wait(ctx)
}

// Own implements backdoor.WritersPlace.
func (m *Memory) Own(ctx context.Context, o backdoor.Owner, lease time.Duration) error {
	if lease == 0 {
		lease = usualLease
	}
	if o.Epoch == 0 || o.Epoch > math.MaxUint32 {
		return fmt.Errorf("own target: epoch %d: a target counts from 1 to %d", o.Epoch, uint32(math.MaxUint32))
	}
	began := time.Now()
	if err := m.claim(ctx, uapi.OwnerTake, o, lease); err != nil {
		return fmt.Errorf("own target: %w", err)
	}
	m.owner.set(o, began.Add(lease))
	return nil
}

// Disown implements backdoor.WritersPlace.
func (m *Memory) Disown(ctx context.Context) error {
	m.owner.mu.Lock()
	o := m.owner.owner
	m.owner.mu.Unlock()
	m.owner.set(backdoor.Owner{}, time.Time{})
	if o.Epoch == 0 {
		return nil
	}
	if err := m.claim(ctx, uapi.OwnerGive, o, usualLease); err != nil {
		return fmt.Errorf("give target up: %w", err)
	}
	return nil
}

// claim writes a record, body and commit word, and waits for the answer.
func (m *Memory) claim(ctx context.Context, want uint32, o backdoor.Owner, lease time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, ownerTime)
	defer cancel()
	ack, err := m.ownerAck(ctx)
	if err != nil {
		return err
	}
	s := m.session.Load()
	if s == nil {
		return errLost
	}
	slot := m.o.Monitor
	q := uapi.OwnerReq{
		Want: want, Epoch: uint32(o.Epoch), LeaseMs: uint32(lease.Milliseconds()), Monitor: slot,
		Seq: max(ack.AcceptedSeq[slot]+1, ack.RefusedSeq[slot]+1, uint64(time.Now().UnixNano())),
	}
	q.Commit = uint32(q.Seq)
	q.Sign(m.o.Key, s.grant.Root.BootID)
	b, off := q.Encode(), uint64(slot)*uapi.OwnerReqSize
	const commit = uapi.OwnerReqCommitOff
	err = m.onRegion(ctx, uapi.KindOwnerReq,
		func(r *backdoor.Region) backdoor.Op { return r.Write(off, b[:commit]) },
		func(r *backdoor.Region) backdoor.Op { return r.Write(off+commit, b[commit:commit+4]) })
	if err != nil {
		return err
	}
	return m.answered(ctx, o, q.Seq)
}

func (m *Memory) answered(ctx context.Context, o backdoor.Owner, seq uint64) error {
	slot := m.o.Monitor
	for {
		ack, err := m.ownerAck(ctx)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return fmt.Errorf("claim %s: %w", o, backdoor.ErrNoAnswer)
		case err != nil && !errors.Is(err, errTornOwner):
			return err
		case err != nil:
		case ack.AcceptedSeq[slot] >= seq:
			return nil
		case ack.RefusedSeq[slot] == seq:
			return refusal(ack, o, ack.Refusal[slot])
		}
		select {
		case <-time.After(ownerPoll):
		case <-ctx.Done():
		}
	}
}

func refusal(ack *uapi.OwnerAck, o backdoor.Owner, why uint32) error {
	v := view(ack)
	switch why {
	case uapi.OwnHeld:
		return &backdoor.OwnedError{By: v}
	case uapi.OwnEpoch:
		return &backdoor.StaleOwnerError{Claim: o, Last: v.Owner}
	}
	return fmt.Errorf("target refuses %s as its owner: %s", o, uapi.OwnerRefusalName(why))
}
