// SPDX-License-Identifier: Apache-2.0

package verbs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"lazystate/verbs/driver"
)

// QP is a connected queue pair: of PreparedQP.Connect or of the connection
// manager. Many goroutines may post to it.
type QP struct {
	object
	dev  *Device
	info driver.QPInfo

	send, recv sync.Mutex // of each queue; both: the handle itself
	gone       bool

	conn driver.Conn // nil: connected without the connection manager
}

func (pd *PD) createQP(typ driver.QPType, attr *QPInitAttr) (*QP, error) {
	qp := &QP{dev: pd.dev}
	if attr.SendCQ == nil {
		return nil, fmt.Errorf("make qp of %v: no completion queue: %w", pd, ErrInvalid)
	}
	recvCQ := attr.RecvCQ
	if recvCQ == nil {
		recvCQ = attr.SendCQ
	}
	init := &driver.QPInitAttr{Type: typ, SendCQ: attr.SendCQ.h, RecvCQ: recvCQ.h, Cap: attr.Cap, SigAll: attr.SigAll}
	parents := []*object{&pd.object, &attr.SendCQ.object, &recvCQ.object}
	if attr.SRQ != nil {
		parents, init.SRQ = append(parents, &attr.SRQ.object), attr.SRQ.h
	}
	if err := qp.attach("qp", parents...); err != nil {
		return nil, err
	}
	var err error
	qp.info, err = pd.dev.drv.CreateQP(pd.h, init)
	if err := qp.made(qp.info.Num, err); err != nil {
		return nil, err
	}
	pd.dev.byHandle.Store(qp.info.QP, qp)
	return qp, nil
}

// Num returns the queue pair's number, Cap what it was made with: it may hold
// more than was asked for.
func (qp *QP) Num() uint32 { return qp.info.Num }
func (qp *QP) Cap() QPCap  { return qp.info.Cap }

// Remote returns the peer's address; the zero one if the connection manager did not
// make the connection.
//
// Implements:
//
//	struct sockaddr *rdma_get_peer_addr(struct rdma_cm_id *id)
func (qp *QP) Remote() netip.AddrPort {
	if qp.conn == nil {
		return netip.AddrPort{}
	}
	return qp.conn.Remote()
}

// Device returns the device that carries the connection.
func (qp *QP) Device() *Device { return qp.dev }

// PostSend posts requests in one call and returns how many were taken; the
// error is about the first that was not, and those after it were not looked at.
//
// Implements:
//
//	int ibv_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad_wr)
func (qp *QP) PostSend(wrs ...SendWR) (int, error) {
	qp.send.Lock()
	defer qp.send.Unlock()
	if qp.gone {
		return 0, fmt.Errorf("post to %v: %w", qp, ErrClosed)
	}
	n, err := qp.dev.drv.PostSend(qp.info.QP, wrs)
	if err != nil && n < len(wrs) {
		return n, postErr(wrs[n].Op.String(), qp, n, err)
	}
	return n, err
}

// PostRecv posts receives in one call, like PostSend.
//
// Implements:
//
//	int ibv_post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad_wr)
func (qp *QP) PostRecv(wrs ...RecvWR) (int, error) {
	qp.recv.Lock()
	defer qp.recv.Unlock()
	if qp.gone {
		return 0, fmt.Errorf("post to %v: %w", qp, ErrClosed)
	}
	n, err := qp.dev.drv.PostRecv(qp.info.QP, wrs)
	return n, postErr("receive", qp, n, err)
}

func (qp *QP) modify(attr *driver.QPAttr, mask driver.QPMask) error {
	qp.send.Lock()
	defer qp.send.Unlock()
	err := ErrClosed
	if !qp.gone {
		err = qp.dev.drv.ModifyQP(qp.info.QP, attr, mask)
	}
	if err == nil {
		return nil
	}
	if mask&driver.QPMaskState != 0 {
		return fmt.Errorf("move %v to %v: %w", qp, attr.State, err)
	}
	return fmt.Errorf("modify %v: %w", qp, err)
}

// State returns the state that the device has it in.
//
// Implements:
//
//	int ibv_query_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int attr_mask, struct ibv_qp_init_attr *init_attr)
func (qp *QP) State() (QPState, error) {
	attr, err := qp.Query()
	return attr.State, err
}

// Query returns the attributes as the device has them.
//
// Implements:
//
//	int ibv_query_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int attr_mask, struct ibv_qp_init_attr *init_attr)
func (qp *QP) Query() (driver.QPAttr, error) {
	qp.send.Lock()
	defer qp.send.Unlock()
	err := ErrClosed
	var attr driver.QPAttr
	if !qp.gone {
		attr, err = qp.dev.drv.QueryQP(qp.info.QP)
	}
	if err != nil {
		err = fmt.Errorf("query %v: %w", qp, err)
	}
	return attr, err
}

// Fail moves the queue pair to the error state: what is posted is flushed.
//
// Implements:
//
//	int ibv_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int attr_mask)
func (qp *QP) Fail() error {
	return qp.modify(&driver.QPAttr{State: QPError}, driver.QPMaskState)
}

// Disconnect ends the connection: the peer is told if the connection manager
// made it, and what is posted here is flushed.
//
// Implements:
//
//	int rdma_disconnect(struct rdma_cm_id *id)
func (qp *QP) Disconnect(ctx context.Context) error {
	if qp.conn == nil {
		return qp.Fail()
	}
	err := qp.conn.Disconnect(ctx)
	if err != nil {
		err = fmt.Errorf("disconnect %v: %w", qp, err)
	}
	return errors.Join(err, qp.Fail())
}

// Done is closed when either side has disconnected. It is nil, and blocks for
// ever, if the connection manager did not make the connection.
func (qp *QP) Done() <-chan struct{} {
	if qp.conn == nil {
		return nil
	}
	return qp.conn.Done()
}

// Close destroys the queue pair. What was posted and not polled is lost. The peer
// of a connection of the connection manager's is told, but not waited for: that is
// what Disconnect is for; any other peer learns nothing.
//
// Implements:
//
//	int ibv_destroy_qp(struct ibv_qp *qp)
func (qp *QP) Close() error {
	return qp.close(func() error {
		qp.send.Lock()
		defer qp.send.Unlock()
		qp.recv.Lock()
		defer qp.recv.Unlock()
		qp.gone = true
		qp.dev.byHandle.Delete(qp.info.QP)
		err := qp.dev.drv.DestroyQP(qp.info.QP)
		if qp.conn != nil {
			err = errors.Join(err, qp.conn.Close())
		}
		return err
	})
}
