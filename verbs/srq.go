// SPDX-License-Identifier: Apache-2.0

package verbs

import (
	"fmt"
	"sync"

	"lazystate/verbs/driver"
)

// SRQ is a receive queue that many queue pairs take from.
type SRQ struct {
	object
	dev  *Device
	h    driver.SRQ
	mu   sync.Mutex
	gone bool
}

// CreateSRQ makes a shared receive queue; ErrNotSupported without CapSRQ.
//
// Implements:
//
//	struct ibv_srq *ibv_create_srq(struct ibv_pd *pd, struct ibv_srq_init_attr *srq_init_attr)
func (pd *PD) CreateSRQ(maxWR, maxSGE int) (*SRQ, error) {
	if err := pd.dev.need(CapSRQ, "make a shared receive queue"); err != nil {
		return nil, err
	}
	srq := &SRQ{dev: pd.dev}
	if err := srq.attach("srq", &pd.object); err != nil {
		return nil, err
	}
	var err error
	srq.h, err = pd.dev.drv.CreateSRQ(pd.h, maxWR, maxSGE)
	if err := srq.made(uint32(srq.h), err); err != nil {
		return nil, err
	}
	pd.dev.byHandle.Store(srq.h, srq)
	return srq, nil
}

// PostRecv posts receives in one call and returns how many were taken; the
// error is about the first that was not.
//
// Implements:
//
//	int ibv_post_srq_recv(struct ibv_srq *srq, struct ibv_recv_wr *recv_wr, struct ibv_recv_wr **bad_recv_wr)
func (srq *SRQ) PostRecv(wrs ...RecvWR) (int, error) {
	srq.mu.Lock()
	defer srq.mu.Unlock()
	if srq.gone {
		return 0, fmt.Errorf("post receives to %v: %w", srq, ErrClosed)
	}
	n, err := srq.dev.drv.PostSRQRecv(srq.h, wrs)
	return n, postErr("receive", srq, n, err)
}

// Arm asks for one EventSRQLimit when fewer than limit receives are left.
//
// Implements:
//
//	int ibv_modify_srq(struct ibv_srq *srq, struct ibv_srq_attr *srq_attr, int srq_attr_mask)
func (srq *SRQ) Arm(limit int) error {
	srq.mu.Lock()
	defer srq.mu.Unlock()
	if srq.gone {
		return fmt.Errorf("arm %v: %w", srq, ErrClosed)
	}
	if err := srq.dev.drv.ArmSRQ(srq.h, limit); err != nil {
		return fmt.Errorf("arm %v at %d receives: %w", srq, limit, err)
	}
	return nil
}

// Close destroys the queue; *BusyError while a queue pair takes from it.
//
// Implements:
//
//	int ibv_destroy_srq(struct ibv_srq *srq)
func (srq *SRQ) Close() error {
	return srq.close(func() error {
		srq.mu.Lock()
		defer srq.mu.Unlock()
		srq.gone = true
		srq.dev.byHandle.Delete(srq.h)
		return srq.dev.drv.DestroySRQ(srq.h)
	})
}

// postErr says which request of a list was refused.
func postErr(what string, to fmt.Stringer, n int, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("post %s %d to %v: %w", what, n, to, err)
}
