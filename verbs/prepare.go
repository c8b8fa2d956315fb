// SPDX-License-Identifier: Apache-2.0

package verbs

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"lazystate/verbs/driver"
)

// QPInitAttr is what a queue pair is made with.
type QPInitAttr struct {
	SendCQ *CQ
	RecvCQ *CQ  // nil: SendCQ
	SRQ    *SRQ // nil: a receive queue of its own
	Cap    QPCap
	SigAll bool // every send completes visibly

	Access Access // what the peer may do, as far as the memory allows it
	Port   int    // 0: 1
	GID    GID    // one of the port's; zero: the first RoCE v2 one with an IPv4 address, else the first
	PSN    uint32 // of the first packet; 0: random
	MTU    MTU    // 0: the port's
}

// Endpoint is what a peer must know to connect a queue pair without the
// connection manager: send it by any way there is.
type Endpoint struct {
	QPN uint32
	PSN uint32 // of the first packet that this side sends
	GID GID
	LID uint16 // InfiniBand only
	MTU MTU    // the largest
}

// PreparedQP is a queue pair in the state INIT: it takes receives, and knows no
// peer yet. Connect, or the connection manager, makes a QP of it.
type PreparedQP struct {
	qp     *QP
	gid    GIDEntry
	port   PortAttr
	psn    uint32
	mtu    MTU
	access Access
	spent  bool // a QP was made of it; under qp.send
}

// PrepareQP makes a reliable connected queue pair and moves it to INIT.
//
// Implements:
//
//	struct ibv_qp *ibv_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *qp_init_attr)
//	int ibv_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int attr_mask)
func (pd *PD) PrepareQP(attr *QPInitAttr) (*PreparedQP, error) {
	p := &PreparedQP{access: attr.Access, psn: attr.PSN & (1<<24 - 1)}
	if err := p.address(pd.dev, attr); err != nil {
		return nil, fmt.Errorf("prepare qp of %v: %w", pd, err)
	}
	if p.psn == 0 {
		p.psn = random24()
	}
	var err error
	if p.qp, err = pd.createQP(driver.RC, attr); err != nil {
		return nil, err
	}
	init := driver.QPAttr{State: QPInit, Port: p.port.Num, Access: attr.Access}
	if err := p.qp.modify(&init, driver.QPMaskState|driver.QPMaskPKeyIndex|driver.QPMaskPort|driver.QPMaskAccess); err != nil {
		p.qp.Close()
		return nil, err
	}
	return p, nil
}

// address finds port, GID and MTU.
func (p *PreparedQP) address(d *Device, attr *QPInitAttr) error {
	port, err := d.Port(max(attr.Port, 1))
	if err != nil {
		return err
	}
	p.port, p.mtu = port.PortAttr, port.ActiveMTU
	if attr.MTU != 0 {
		p.mtu = min(attr.MTU, port.MaxMTU)
	}
	gids, err := port.GIDs()
	if err != nil {
		return err
	}
	p.gid, err = choose(gids, attr.GID)
	return err
}

func choose(gids []GIDEntry, want GID) (GIDEntry, error) {
	for _, g := range gids {
		usual := want == GID{} && g.GID.Addr().Is4()
		if g.Type == driver.GIDRoCEv2 && (usual || g.GID == want) {
			return g, nil
		}
	}
	for _, g := range gids {
		if want == (GID{}) || g.GID == want {
			return g, nil
		}
	}
	return GIDEntry{}, fmt.Errorf("the port has no gid %v: %w", want.Addr(), ErrInvalid)
}

func random24() uint32 {
	var b [4]byte
	rand.Read(b[1:])
	return max(binary.BigEndian.Uint32(b[:]), 1)
}

// Endpoint returns what to tell the peer.
func (p *PreparedQP) Endpoint() Endpoint {
	return Endpoint{QPN: p.qp.Num(), PSN: p.psn, GID: p.gid.GID, LID: p.port.LID, MTU: p.mtu}
}

// Num returns the queue pair's number, Cap what it was made with.
func (p *PreparedQP) Num() uint32 { return p.qp.Num() }
func (p *PreparedQP) Cap() QPCap  { return p.qp.Cap() }

// PostRecv posts receives before the peer can send: QP.PostRecv.
//
// Implements:
//
//	int ibv_post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad_wr)
func (p *PreparedQP) PostRecv(wrs ...RecvWR) (int, error) { return p.qp.PostRecv(wrs...) }

// Close destroys a queue pair that was not connected; else it does nothing.
//
// Implements:
//
//	int ibv_destroy_qp(struct ibv_qp *qp)
func (p *PreparedQP) Close() error {
	p.qp.send.Lock()
	spent := p.spent
	p.spent = true
	p.qp.send.Unlock()
	if spent {
		return nil
	}
	return p.qp.Close()
}

// ConnectOptions are the parameters of a connection made without the
// connection manager; DefaultConnectOptions are the usual ones.
type ConnectOptions struct {
	AckTimeout      uint8 // code: 4.096 us << AckTimeout; 0: for ever
	RetryCount      uint8 // 0..7
	RNRRetry        uint8 // 0..7; 7: for ever
	MinRNRTimer     uint8 // code that a peer without a receive is told to wait
	MaxRdAtomic     uint8 // READs and atomics asked at once
	MaxDestRdAtomic uint8 // and answered at once
	HopLimit        uint8
	TrafficClass    uint8
	SL              uint8
}

// DefaultConnectOptions returns an ack timeout of 67 ms, 7 retries, RNR retries
// for ever after 0.64 ms each, and up to 16 READs and atomics at once.
func DefaultConnectOptions() ConnectOptions {
	return ConnectOptions{
		AckTimeout: 14, RetryCount: 7, RNRRetry: 7, MinRNRTimer: 12,
		MaxRdAtomic: 16, MaxDestRdAtomic: 16, HopLimit: 64,
	}
}

// Connect makes a connected queue pair (RTR, then RTS) of a prepared one, which
// is spent even if that fails. The peer must do the same with our Endpoint. nil
// options are the default ones.
//
// Implements:
//
//	int ibv_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int attr_mask)
func (p *PreparedQP) Connect(remote Endpoint, opts *ConnectOptions) (*QP, error) {
	if err := p.spend(); err != nil {
		return nil, err
	}
	o := DefaultConnectOptions()
	if opts != nil {
		o = *opts
	}
	dev := p.qp.dev.attr
	rtr := driver.QPAttr{
		State: QPRTR, PathMTU: min(p.mtu, remote.MTU), DestQPN: remote.QPN, RQPSN: remote.PSN & (1<<24 - 1),
		MaxDestRdAtomic: atMost(o.MaxDestRdAtomic, dev.MaxQPRdAtom), MinRNRTimer: o.MinRNRTimer,
		AV: AHAttr{
			DGID: remote.GID, DLID: remote.LID, SGIDIndex: p.gid.Index, Port: p.port.Num,
			HopLimit: o.HopLimit, TrafficClass: o.TrafficClass, SL: o.SL,
		},
	}
	rts := driver.QPAttr{
		State: QPRTS, SQPSN: p.psn, Timeout: o.AckTimeout, RetryCount: o.RetryCount, RNRRetry: o.RNRRetry,
		MaxRdAtomic: atMost(o.MaxRdAtomic, dev.MaxQPInitRdAtom),
	}
	err := p.qp.modify(&rtr, driver.QPMaskState|driver.QPMaskAV|driver.QPMaskPathMTU|driver.QPMaskDestQPN|driver.QPMaskRQPSN|
		driver.QPMaskMaxDestRdAtomic|driver.QPMaskMinRNRTimer)
	if err == nil {
		err = p.qp.modify(&rts, driver.QPMaskState|driver.QPMaskSQPSN|driver.QPMaskTimeout|driver.QPMaskRetry|
			driver.QPMaskRNRRetry|driver.QPMaskMaxRdAtomic)
	}
	if err != nil {
		p.qp.Close()
		return nil, err
	}
	return p.qp, nil
}

func atMost(n uint8, limit int) uint8 {
	if limit > 0 && int(n) > limit {
		return uint8(limit)
	}
	return n
}

// spend marks that the one QP is made now.
func (p *PreparedQP) spend() error {
	p.qp.send.Lock()
	defer p.qp.send.Unlock()
	if p.spent {
		return fmt.Errorf("connect %v: it was connected or closed before: %w", p.qp, ErrInvalid)
	}
	p.spent = true
	return nil
}
