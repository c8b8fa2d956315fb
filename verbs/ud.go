// SPDX-License-Identifier: Apache-2.0

package verbs

import "lazystate/verbs/driver"

// AH is an address handle: the way to a peer of a UDQP.
type AH struct {
	object
	dev *Device
	h   driver.AH
}

// CreateAH makes an address handle; ErrNotSupported without CapUD.
//
// Implements:
//
//	struct ibv_ah *ibv_create_ah(struct ibv_pd *pd, struct ibv_ah_attr *attr)
func (pd *PD) CreateAH(attr *AHAttr) (*AH, error) {
	if err := pd.dev.need(CapUD, "make an address handle"); err != nil {
		return nil, err
	}
	ah := &AH{dev: pd.dev}
	if err := ah.attach("ah", &pd.object); err != nil {
		return nil, err
	}
	var err error
	ah.h, err = pd.dev.drv.CreateAH(pd.h, attr)
	if err := ah.made(uint32(ah.h), err); err != nil {
		return nil, err
	}
	return ah, nil
}

// Handle returns the driver's handle, for SendWR.AH.
func (ah *AH) Handle() driver.AH { return ah.h }

// Close destroys the handle. Sends that name it must have ended.
//
// Implements:
//
//	int ibv_destroy_ah(struct ibv_ah *ah)
func (ah *AH) Close() error {
	return ah.close(func() error { return ah.dev.drv.DestroyAH(ah.h) })
}

// UDQP is an unreliable datagram queue pair: it has no peer, every send names
// one by AH, RemoteQPN and RemoteQK, and 40 bytes of address come before what
// a receive got.
type UDQP struct{ qp *QP }

// CreateUDQP makes a datagram queue pair that takes what is sent with qkey;
// ErrNotSupported without CapUD.
//
// Implements:
//
//	struct ibv_qp *ibv_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *qp_init_attr)
//	int ibv_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int attr_mask)
func (pd *PD) CreateUDQP(attr *QPInitAttr, qkey uint32) (*UDQP, error) {
	if err := pd.dev.need(CapUD, "make a datagram qp"); err != nil {
		return nil, err
	}
	qp, err := pd.createQP(driver.UD, attr)
	if err != nil {
		return nil, err
	}
	steps := []struct {
		attr driver.QPAttr
		mask driver.QPMask
	}{
		{driver.QPAttr{State: QPInit, Port: max(attr.Port, 1), QKey: qkey}, driver.QPMaskPKeyIndex | driver.QPMaskPort | driver.QPMaskQKey},
		{driver.QPAttr{State: QPRTR}, 0},
		{driver.QPAttr{State: QPRTS, SQPSN: attr.PSN}, driver.QPMaskSQPSN},
	}
	for _, s := range steps {
		if err := qp.modify(&s.attr, s.mask|driver.QPMaskState); err != nil {
			qp.Close()
			return nil, err
		}
	}
	return &UDQP{qp}, nil
}

// Num returns the queue pair's number, Cap what it was made with.
func (u *UDQP) Num() uint32 { return u.qp.Num() }
func (u *UDQP) Cap() QPCap  { return u.qp.Cap() }

// PostSend posts datagrams: QP.PostSend.
//
// Implements:
//
//	int ibv_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad_wr)
func (u *UDQP) PostSend(wrs ...SendWR) (int, error) { return u.qp.PostSend(wrs...) }

// PostRecv posts receives: QP.PostRecv.
//
// Implements:
//
//	int ibv_post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad_wr)
func (u *UDQP) PostRecv(wrs ...RecvWR) (int, error) { return u.qp.PostRecv(wrs...) }

// Close destroys the queue pair.
//
// Implements:
//
//	int ibv_destroy_qp(struct ibv_qp *qp)
func (u *UDQP) Close() error { return u.qp.Close() }
