// SPDX-License-Identifier: Apache-2.0

package soft

import (
	"fmt"
	"sync"

	"lazystate/verbs/driver"
)

// Recv is a posted receive.
type Recv struct {
	ID uint64
	SG []driver.SGE
}

// Len returns the bytes that fit.
func (r *Recv) Len() uint64 { return total(r.SG) }

func total(sg []driver.SGE) (n uint64) {
	for _, s := range sg {
		n += uint64(s.Length)
	}
	return n
}

// recvQueue is a receive queue, of one queue pair or shared.
type recvQueue struct {
	mu     sync.Mutex
	max    int
	maxSGE int
	wqes   []Recv
}

func (q *recvQueue) post(wrs []driver.RecvWR) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range wrs {
		if len(wrs[i].SG) > q.maxSGE {
			return i, fmt.Errorf("%d pieces, at most %d: %w", len(wrs[i].SG), q.maxSGE, driver.ErrInvalid)
		}
		if len(q.wqes) >= q.max {
			return i, driver.ErrQueueFull
		}
		q.wqes = append(q.wqes, Recv{ID: wrs[i].ID, SG: append([]driver.SGE(nil), wrs[i].SG...)})
	}
	return len(wrs), nil
}

func (q *recvQueue) take() (Recv, int, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.wqes) == 0 {
		return Recv{}, 0, false
	}
	r := q.wqes[0]
	q.wqes = q.wqes[1:]
	return r, len(q.wqes), true
}

// SRQ is a shared receive queue.
type SRQ struct {
	recvQueue
	handle driver.SRQ
	pd     *pd
	limit  int // raise an event below it; 0: do not
	users  int
}

// CreateSRQ makes a shared receive queue.
func (d *Device) CreateSRQ(h driver.PD, maxWR, maxSGE int) (driver.SRQ, error) {
	p, err := d.pds.get(h)
	if err != nil {
		return 0, err
	}
	if maxWR <= 0 || maxWR > d.attr.MaxSRQWR || maxSGE > d.attr.MaxSGE {
		return 0, fmt.Errorf("%d receives of %d pieces: %w", maxWR, maxSGE, driver.ErrInvalid)
	}
	s := &SRQ{recvQueue: recvQueue{max: maxWR, maxSGE: maxSGE}, pd: p}
	s.handle = d.srqs.add(s)
	p.use(1)
	return s.handle, nil
}

// ArmSRQ asks for one event when fewer than limit receives are left.
func (d *Device) ArmSRQ(h driver.SRQ, limit int) error {
	s, err := d.srqs.get(h)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if limit < 0 || limit > s.max {
		return fmt.Errorf("limit %d of %d: %w", limit, s.max, driver.ErrInvalid)
	}
	s.limit = limit
	return nil
}

// DestroySRQ ends it.
func (d *Device) DestroySRQ(h driver.SRQ) error {
	s, err := d.srqs.get(h)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users > 0 {
		return fmt.Errorf("%d queue pairs take from it: %w", s.users, driver.ErrInvalid)
	}
	d.srqs.remove(h)
	s.pd.use(-1)
	return nil
}

// PostSRQRecv posts receives.
func (d *Device) PostSRQRecv(h driver.SRQ, wrs []driver.RecvWR) (int, error) {
	s, err := d.srqs.get(h)
	if err != nil {
		return 0, err
	}
	return s.post(wrs)
}

// taken raises the limit event once.
func (s *SRQ) taken(d *Device, left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if left < s.limit {
		s.limit = 0
		d.Raise(driver.AsyncEvent{Type: driver.EventSRQLimit, SRQ: s.handle})
	}
}
