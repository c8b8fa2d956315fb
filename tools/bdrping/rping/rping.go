// SPDX-License-Identifier: Apache-2.0

package rping

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"lazystate/verbs"
)

// advertisement is struct rping_rdma_info: where memory is, big endian.
type advertisement struct {
	addr uint64
	key  uint32
	size uint32
}

const advertisementLen = 16

func (a *advertisement) put(b []byte) {
	binary.BigEndian.PutUint64(b, a.addr)
	binary.BigEndian.PutUint32(b[8:], a.key)
	binary.BigEndian.PutUint32(b[12:], a.size)
}

func parse(b []byte) advertisement {
	return advertisement{binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])}
}

// Places in an end's memory: a received advertisement, one to send, then the text.
const (
	recvAt = 0
	sendAt = 64
	textAt = 128
)

// end is one side's resources.
type end struct {
	ctx  context.Context
	pd   *verbs.PD
	ch   *verbs.CompChannel
	cq   *verbs.CQ
	mr   *verbs.MR
	prep *verbs.PreparedQP
	qp   *verbs.QP
	made []interface{ Close() error }
	got  int // receives completed and not yet asked for
}

const sends = 16

// newEnd makes everything but the connection. The text may be n bytes long.
func newEnd(ctx context.Context, dev *verbs.Device, n int) (*end, error) {
	e := &end{ctx: ctx}
	err := e.open(dev, n)
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

func (e *end) open(dev *verbs.Device, n int) (err error) {
	if e.pd, err = dev.AllocPD(); err != nil {
		return err
	}
	e.made = append(e.made, e.pd)
	if e.ch, err = dev.CreateCompChannel(); err != nil {
		return err
	}
	e.made = append(e.made, e.ch)
	if e.cq, err = dev.CreateCQ(2*sends, e.ch); err != nil {
		return err
	}
	e.made = append(e.made, e.cq)
	access := verbs.AccessLocalWrite | verbs.AccessRemoteRead | verbs.AccessRemoteWrite
	if e.mr, err = e.pd.AllocMR(textAt+n, access); err != nil {
		return err
	}
	e.made = append(e.made, e.mr)
	e.prep, err = e.pd.PrepareQP(&verbs.QPInitAttr{
		SendCQ: e.cq, Access: access, Cap: verbs.QPCap{MaxSendWR: sends, MaxRecvWR: 2, MaxSendSGE: 1, MaxRecvSGE: 1},
	})
	if err != nil {
		return err
	}
	e.made = append(e.made, e.prep)
	_, err = e.prep.PostRecv(e.receive())
	return err
}

// close closes what was made, the youngest first.
func (e *end) close() error {
	var errs []error
	for i := len(e.made) - 1; i >= 0; i-- {
		errs = append(errs, e.made[i].Close())
	}
	return errors.Join(errs...)
}

func (e *end) receive() verbs.RecvWR {
	return verbs.RecvWR{SG: []verbs.SGE{e.mr.SGE(recvAt, advertisementLen)}}
}

// text returns the part of the memory that pings go through.
func (e *end) text(n int) []byte { return e.mr.Bytes()[textAt : textAt+n] }

// advertise tells the peer where n bytes of text are.
func (e *end) advertise(n int) error {
	a := advertisement{addr: e.mr.Addr() + textAt, key: e.mr.RKey(), size: uint32(n)}
	a.put(e.mr.Bytes()[sendAt:])
	return e.do(verbs.SendWR{Op: verbs.OpSend, SG: []verbs.SGE{e.mr.SGE(sendAt, advertisementLen)}})
}

// do posts a request and waits for its completion; receives that come
// meanwhile are kept.
func (e *end) do(wr verbs.SendWR) error {
	wr.Flags |= verbs.SendSignaled
	if _, err := e.qp.PostSend(wr); err != nil {
		return err
	}
	for {
		op, err := e.next()
		if err != nil {
			return err
		}
		if op != verbs.WCRecv {
			return nil
		}
		e.got++
	}
}

// hear waits for the peer's next message.
func (e *end) hear() (advertisement, error) {
	for e.got == 0 {
		op, err := e.next()
		if err != nil {
			return advertisement{}, err
		}
		if op != verbs.WCRecv {
			return advertisement{}, fmt.Errorf("%v completed, that nobody posted", op)
		}
		e.got++
	}
	e.got--
	a := parse(e.mr.Bytes()[recvAt:])
	_, err := e.qp.PostRecv(e.receive())
	return a, err
}

// joined keeps the queue pair of a connection.
func (e *end) joined(qp *verbs.QP, err error) error {
	if err == nil {
		e.qp = qp
		e.made = append(e.made, qp)
	}
	return err
}

// errGone: the peer disconnected, or does not answer any more.
var errGone = errors.New("peer is gone")

// idle is how long an end hears nothing before it asks whether the peer is still
// there, by a WRITE of no bytes: a program that ends sends its DREQ once, and it
// may be lost.
const idle = 2 * time.Second

const askID = 1 // of that WRITE

// next waits for a completion.
func (e *end) next() (verbs.WCOpcode, error) {
	for asked := false; ; {
		ctx, cancel := context.WithTimeout(e.ctx, idle)
		var wc [1]verbs.WC
		_, err := e.cq.Wait(ctx, wc[:])
		cancel()
		switch {
		case e.ctx.Err() != nil:
			return 0, context.Cause(e.ctx)
		case errors.Is(err, context.DeadlineExceeded) && asked:
			continue
		case errors.Is(err, context.DeadlineExceeded):
			asked = true
			if _, err := e.qp.PostSend(verbs.SendWR{ID: askID, Op: verbs.OpRDMAWrite, Flags: verbs.SendSignaled}); err != nil {
				return 0, err
			}
			continue
		case err != nil:
			return 0, err
		case wc[0].ID == askID && wc[0].Status == verbs.WCSuccess:
			asked = false
			continue
		case wc[0].ID == askID || wc[0].Status == verbs.WCWRFlushErr || wc[0].Status == verbs.WCRetryExcErr:
			return 0, errGone // of a peer whose DREQ was lost, any request may be the one that finds nobody
		}
		return wc[0].Op, wc[0].Err()
	}
}
