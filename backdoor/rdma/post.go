// SPDX-License-Identifier: Apache-2.0

package rdma

import (
	"context"
	"fmt"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/verbs"
)

// Post implements backdoor.Memory: the whole batch is posted in one call, as far
// as the queue has room. What CheckOp refuses never leaves this side.
func (m *Memory) Post(ctx context.Context, b *backdoor.Batch) {
	j := m.newJob(b)
	for i := range b.Ops {
		op := &b.Ops[i]
		op.Err = nil
		at, err := m.check(ctx, j.to, op)
		if err != nil {
			j.refused = err
			break
		}
		j.region = append(j.region, at)
		j.limit++
	}
	if j.limit == 0 {
		j.finish(nil)
		b.Complete()
		return
	}
	m.lane(b).add(j)
}

func (m *Memory) newJob(b *backdoor.Batch) *job {
	to := m.bound.Load()
	if to == nil {
		to = &binding{}
	}
	return &job{b: b, to: to, region: make([]int, 0, len(b.Ops)), keys: make([]uint32, 0, len(b.Ops))}
}

func (m *Memory) check(ctx context.Context, to *binding, op *backdoor.Op) (region int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	r, err := backdoor.CheckOp(to.regions, op)
	if err != nil {
		return 0, m.closedOr(err)
	}
	if op.Kind != backdoor.OpRead && !m.owner.mayWrite() {
		return 0, m.closedOr(backdoor.ErrReadOnly)
	}
	for i := range to.regions {
		if &to.regions[i] == r {
			return i, nil
		}
	}
	return 0, fmt.Errorf("region %s is not bound", r.Name) // cannot be: CheckOp returns one of them
}

// closedOr prefers that the memory is closed to any other reason.
func (m *Memory) closedOr(err error) error {
	l := m.lanes[0]
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.why == backdoor.ErrClosed {
		return backdoor.ErrClosed
	}
	return err
}

// lane chooses a queue pair. A sample gets one to itself while there is one; all
// else keeps its order on the first.
func (m *Memory) lane(b *backdoor.Batch) *lane {
	if !b.Repeats() {
		return m.lanes[0]
	}
	pool := m.lanes[1:]
	start := int(m.turn.Add(1))
	best, least := pool[start%len(pool)], -1
	for i := range pool {
		l := pool[(start+i)%len(pool)]
		n, up := l.load()
		if up && n == 0 {
			return l
		}
		if up && (least < 0 || n < least) {
			best, least = l, n
		}
	}
	return best
}

// Root implements backdoor.Memory: a READ of the record that the target keeps
// current for this grant. While there is no connection it waits for the attempt
// that is being made, and tells why the last one failed.
func (m *Memory) Root(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	root, err := m.readRoot(ctx)
	if _, refused := err.(*backdoor.AccessError); refused || err == errLost {
		// The connection has ended, perhaps with its grant: another comes in its place.
		root, err = m.readRoot(ctx)
	}
	return root, err
}

func (m *Memory) readRoot(ctx context.Context) ([]byte, error) {
	buf := make([]byte, uapi.RootSize)
	b := backdoor.NewBatch(backdoor.Op{Kind: backdoor.OpRead, Buf: buf})
	j := &job{b: b, limit: 1}
	m.rootLane().add(j)
	if err := b.Wait(ctx); err != nil {
		return nil, err
	}
	m.asked.Store(j.session)
	return buf, nil
}

// rootLane is the least busy one that is connected: identity is asked for in the
// middle of everything.
func (m *Memory) rootLane() *lane {
	best, least := m.lanes[0], -1
	for _, l := range m.lanes {
		if n, up := l.load(); up && (least < 0 || n < least) {
			best, least = l, n
		}
	}
	return best
}

// readTable reads a new grant's table over its first queue pair.
func (m *Memory) readTable(ctx context.Context, l *lane, qp *verbs.QP, s *session) ([]backdoor.Region, error) {
	buf := make([]byte, s.root.TableLen)
	s.self = &binding{regions: []backdoor.Region{tableRegion(&s.root)}, session: s}
	b := backdoor.NewBatch(s.self.regions[0].Read(0, buf))
	m.connected(l, qp, s, &job{b: b, to: s.self, region: []int{0}, limit: 1})
	ctx, cancel := context.WithTimeout(ctx, m.o.Dial)
	defer cancel()
	if err := b.Wait(ctx); err != nil {
		return nil, fmt.Errorf("read region table: %w", err)
	}
	regions, generation, boot, err := backdoor.DecodeTable(buf)
	if err != nil {
		return nil, err
	}
	if boot != backdoor.BootID(s.root.BootID) || generation != s.root.Generation {
		return nil, fmt.Errorf("region table of generation %d, the grant's root says %d: %w", generation, s.root.Generation, backdoor.ErrWithdrawn)
	}
	return regions, nil
}
