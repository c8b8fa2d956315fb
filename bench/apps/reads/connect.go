// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"lazystate/verbs"
)

// most is the largest READ that a server has memory for.
const most = 8 << 20

// depths asks for as many READs at once as the device has; verbs cuts it down.
const depths = 255

// side is one end.
type side struct {
	dev *verbs.Device
	pd  *verbs.PD
	cq  *verbs.CQ
	mr  *verbs.MR
	qp  *verbs.QP

	addr uint64 // of the peer's memory
	rkey uint32
}

func (w *work) open(ctx context.Context, bytes int) (*side, error) {
	s := &side{}
	var err error
	if s.dev, err = verbs.Open(ctx, w.device); err != nil {
		return nil, err
	}
	if s.pd, err = s.dev.AllocPD(); err == nil {
		s.cq, err = s.dev.CreateCQ(max(w.depth, 2), nil)
	}
	if err == nil {
		s.mr, err = s.pd.AllocMR(bytes, verbs.AccessLocalWrite|verbs.AccessRemoteRead)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *side) prepare(depth int) (*verbs.PreparedQP, error) {
	return s.pd.PrepareQP(&verbs.QPInitAttr{
		SendCQ: s.cq, Access: verbs.AccessRemoteRead,
		Cap: verbs.QPCap{MaxSendWR: depth, MaxRecvWR: 1, MaxSendSGE: 1, MaxRecvSGE: 1},
	})
}

// close ends what there is of s, children first.
func (s *side) close() error {
	var errs []error
	if s.qp != nil {
		errs = append(errs, s.qp.Close())
	}
	if s.mr != nil {
		errs = append(errs, s.mr.Close())
	}
	if s.cq != nil {
		errs = append(errs, s.cq.Close())
	}
	if s.pd != nil {
		errs = append(errs, s.pd.Close())
	}
	return errors.Join(append(errs, s.dev.Close())...)
}

func param() *verbs.ConnParam {
	p := verbs.DefaultConnParam()
	p.ResponderResources, p.InitiatorDepth = depths, depths
	return &p
}

// serve accepts connections, one after the other, until ctx ends.
func (w *work) serve(ctx context.Context, addr string) error {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return err
	}
	s, err := w.open(ctx, most)
	if err != nil {
		return err
	}
	l, err := s.dev.Listen(at)
	for err == nil {
		err = s.accept(ctx, l)
	}
	if ctx.Err() != nil {
		err = nil
	}
	if l != nil {
		err = errors.Join(err, l.Close())
	}
	return errors.Join(err, s.close())
}

func (s *side) accept(ctx context.Context, l *verbs.Listener) error {
	req, err := l.Accept(ctx)
	if err != nil {
		return err
	}
	p := param()
	p.Private = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(nil, s.mr.Addr()), s.mr.RKey())
	prepared, err := s.prepare(1)
	if err != nil {
		return errors.Join(err, req.Close())
	}
	qp, err := req.Accept(ctx, prepared, p)
	if err != nil {
		return err
	}
	select {
	case <-qp.Done():
	case <-ctx.Done():
	}
	return qp.Close()
}

// dial connects to a server and measures.
func (w *work) dial(ctx context.Context, addr string) (*report, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	s, err := w.open(ctx, max(w.size, 1))
	if err != nil {
		return nil, err
	}
	r, err := w.over(ctx, s, at)
	return r, errors.Join(err, s.close())
}

func (w *work) over(ctx context.Context, s *side, at netip.AddrPort) (*report, error) {
	route, err := s.dev.Resolve(ctx, netip.Addr{}, at)
	if err != nil {
		return nil, err
	}
	prepared, err := s.prepare(w.depth)
	if err != nil {
		return nil, errors.Join(err, route.Close())
	}
	qp, reply, err := route.Connect(ctx, prepared, param())
	if err != nil {
		return nil, err
	}
	s.qp = qp
	if len(reply.Private) < 12 {
		return nil, fmt.Errorf("%v told %d bytes about its memory, not 12", at, len(reply.Private))
	}
	s.addr, s.rkey = binary.LittleEndian.Uint64(reply.Private), binary.LittleEndian.Uint32(reply.Private[8:])
	return w.measure(s)
}
