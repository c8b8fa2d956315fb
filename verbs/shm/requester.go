// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"unsafe"

	"lazystate/internal/mapfault"
	"lazystate/verbs/driver"
	"lazystate/verbs/internal/soft"
)

// maxMessage is rxe's, so that a program that runs here runs there.
const maxMessage = 8 << 20

// chunk is the most that one record of the ring carries: four are in it.
const chunk = ringSize/4 - recordSize

// wait is no status: the request cannot be executed yet.
const wait driver.WCStatus = 0xff

// run executes requests, in order, as far as that is possible now.
func (e *engine) run() {
	if e.qp.State != driver.QPRTS {
		return
	}
	head := e.head
	for _, s := range e.qp.Sends {
		if s.Done && s.Status != driver.WCSuccess {
			break // nothing behind an error is executed
		}
		if s.Done || s.Sent {
			continue
		}
		status := e.step(s)
		if status == wait {
			break
		}
		if !s.Sent {
			s.Done, s.Status = true, status
		}
	}
	if e.head != head {
		u64(e.far.b, segHead).Store(e.head)
		e.link.notify(e.peer)
	}
	e.complete()
}

// complete hands completions over.
func (e *engine) complete() {
	if len(e.qp.Sends) > 0 && e.qp.Sends[0].Done {
		e.qp.EndSend(e.qp.Sends[0], e.qp.Sends[0].Status)
	}
}

// step executes one request: how it ended, or wait. What goes through the ring
// is only Sent.
func (e *engine) step(s *soft.Send) driver.WCStatus {
	if status, here := e.qp.Here(s); here {
		return status
	}
	switch {
	case s.Length > maxMessage:
		return driver.WCLocLenErr
	case e.dead:
		return driver.WCRetryExcErr
	case e.far.b == nil:
		e.startTimer()
		return wait
	case u32(e.far.b, segState).Load() != segReady:
		e.dead = true
		return driver.WCRetryExcErr
	}
	switch s.Op {
	case driver.OpSend, driver.OpSendWithImm, driver.OpSendWithInv:
		return e.push(s)
	case driver.OpRDMAWriteWithImm:
		if status := e.oneSided(s, driver.AccessRemoteWrite, (*engine).write); status != driver.WCSuccess {
			return status
		}
		return e.push(s)
	case driver.OpRDMAWrite:
		return e.oneSided(s, driver.AccessRemoteWrite, (*engine).write)
	case driver.OpRDMARead:
		if e.qp.Attr.MaxRdAtomic == 0 {
			return driver.WCLocQPOpErr
		}
		return e.oneSided(s, driver.AccessRemoteRead, (*engine).read)
	}
	if e.qp.Attr.MaxRdAtomic == 0 {
		return driver.WCLocQPOpErr
	}
	return e.oneSided(s, driver.AccessRemoteAtomic, (*engine).atomic)
}

// access is what is done to a part of the peer's memory.
type access func(*engine, *soft.Send, []byte) driver.WCStatus

// oneSided checks a request against the peer's memory and executes it there.
// It waits for the messages before it: they may fail.
func (e *engine) oneSided(s *soft.Send, need driver.Access, do access) driver.WCStatus {
	if e.sent != e.acked {
		return wait
	}
	status := e.inFar(s, need, do)
	switch status {
	case driver.WCRemAccessErr, driver.WCRemInvReqErr, driver.WCRemOpErr:
		u32(e.far.b, segFault).Store(1) // as a network card would tell its owner
		e.link.notify(e.peer)
	}
	return status
}

func (e *engine) inFar(s *soft.Send, need driver.Access, do access) driver.WCStatus {
	n := s.Length
	if need == driver.AccessRemoteAtomic {
		if n != 8 {
			return driver.WCLocLenErr
		}
		if s.RemoteAddr%8 != 0 {
			return driver.WCRemInvReqErr
		}
	}
	if driver.Access(u32(e.far.b, segAccess).Load())&need == 0 {
		return driver.WCRemInvReqErr
	}
	if n == 0 {
		return driver.WCSuccess // of no bytes the key is not looked at
	}
	l := e.link
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.down {
		return driver.WCRetryExcErr
	}
	r := l.regions[s.RKey]
	switch {
	case r == nil && l.table.has(s.RKey):
		return wait // for the message that tells of it
	case r == nil || r.pd != e.farPD || r.access&need == 0:
		return driver.WCRemAccessErr
	}
	off := s.RemoteAddr - r.addr
	if s.RemoteAddr < r.addr || off > uint64(len(r.b)) || n > uint64(len(r.b))-off {
		return driver.WCRemAccessErr
	}
	return e.inside(l, r, s, r.b[off:off+n], do)
}

// inside tells the peer that we are at its memory, and looks only then whether
// the registration lives: whoever ends it does these two things the other way round.
func (e *engine) inside(l *link, r *peerRegion, s *soft.Send, b []byte, do access) driver.WCStatus {
	busy := u32(e.far.b, segBusy)
	busy.Add(1)
	defer busy.Add(1)
	if !l.table.lives(r.slot, r.seq) {
		return driver.WCRemAccessErr
	}
	if r.sealed {
		return do(e, s, b)
	}
	status := driver.WCRemOpErr // if the file was cut
	if err := mapfault.Do(func() { status = do(e, s, b) }); err != nil {
		return driver.WCRemOpErr
	}
	return status
}

// write, read and atomic are what is done to b, the peer's memory.
func (e *engine) write(s *soft.Send, b []byte) driver.WCStatus {
	if s.Flags&driver.SendInline != 0 {
		copy(b, s.Inline)
		return driver.WCSuccess
	}
	return protected(e.qp.Dev.Gather(e.qp.PD, s.SG, 0, b))
}

func (e *engine) read(s *soft.Send, b []byte) driver.WCStatus {
	return protected(e.qp.Dev.Scatter(e.qp.PD, s.SG, 0, b))
}

func (e *engine) atomic(s *soft.Send, b []byte) driver.WCStatus {
	if !e.qp.Dev.Writable(e.qp.PD, s.SG) {
		return driver.WCLocProtErr
	}
	old := soft.Atomic(s.Op, (*uint64)(unsafe.Pointer(unsafe.SliceData(b))), s.CompareAdd, s.Swap)
	return protected(e.qp.Dev.Scatter(e.qp.PD, s.SG, 0, soft.Word(old)))
}

// protected is the status of an access to our own memory.
func protected(ok bool) driver.WCStatus {
	if !ok {
		return driver.WCLocProtErr
	}
	return driver.WCSuccess
}

// push puts a message into the peer's ring, as much of it as has room.
func (e *engine) push(s *soft.Send) driver.WCStatus {
	total := s.Length
	carried := total
	if s.Op == driver.OpRDMAWriteWithImm {
		carried = 0 // the bytes are there already
	}
	for {
		n := min(carried-e.pushed, chunk)
		at, ok := e.room(n)
		switch {
		case e.dead:
			return driver.WCRetryExcErr
		case !ok:
			return wait
		}
		r := record{
			Size: uint32(n), Op: uint8(s.Op), RNR: e.qp.Attr.RNRRetry, Imm: s.Imm, Total: uint32(total),
		}
		if e.pushed == 0 {
			r.Flags |= recFirst
		}
		if e.pushed+n == carried {
			r.Flags |= recLast
		}
		if s.Flags&driver.SendSolicited != 0 {
			r.Flags |= recSolicited
		}
		r.put(at)
		if !e.gather(s, at[recordSize:recordSize+n]) {
			return driver.WCLocProtErr
		}
		e.head += recordSize + pad(r.Size)
		e.pushed += n
		if r.Flags&recLast != 0 {
			break
		}
	}
	e.pushed = 0
	s.Sent, s.Seq = true, uint32(e.sent)
	e.sent++
	return driver.WCSuccess
}

// room returns where a record of n bytes goes; false: the ring is full.
func (e *engine) room(n uint64) ([]byte, bool) {
	need := recordSize + pad(uint32(n))
	tail := u64(e.far.b, segTail).Load()
	if tail > e.head || e.head-tail > ringSize {
		e.dead = true // no peer of ours writes that
		return nil, false
	}
	ring := e.far.b[segRing:]
	at := e.head % ringSize
	free := ringSize - (e.head - tail)
	if rest := ringSize - at; rest < need {
		if free < rest+need {
			return nil, false
		}
		skip := record{Op: opSkip}
		skip.put(ring[at:])
		e.head += rest
		return ring, true
	}
	return ring[at:], free >= need
}

// gather copies the next bytes of s to b.
func (e *engine) gather(s *soft.Send, b []byte) bool {
	if s.Flags&driver.SendInline != 0 {
		copy(b, s.Inline[e.pushed:])
		return true
	}
	return e.qp.Dev.Gather(e.qp.PD, s.SG, e.pushed, b)
}

// acks ends the messages that the peer has accepted.
func (e *engine) acks() {
	if e.far.b == nil || e.qp.State != driver.QPRTS {
		return
	}
	// In this order: the peer writes them in the other one.
	gone := u32(e.far.b, segState).Load() == segGone
	status := driver.WCStatus(u32(e.far.b, segStatus).Load())
	acked := u64(e.far.b, segAcked).Load()
	if acked < e.acked || acked > e.sent {
		gone, acked = true, e.acked // no peer of ours writes that
	}
	e.acked = acked
	e.dead = e.dead || gone
	for _, s := range e.qp.Sends {
		if !s.Sent || s.Done {
			continue
		}
		if int32(s.Seq-uint32(acked)) < 0 {
			s.Done = true
			continue
		}
		if status != driver.WCSuccess {
			s.Done, s.Status = true, remoteStatus(status)
		} else if e.dead {
			s.Done, s.Status = true, driver.WCRetryExcErr
		}
		break
	}
}

// remoteStatus lets through what a peer can say of a message.
func remoteStatus(s driver.WCStatus) driver.WCStatus {
	switch s {
	case driver.WCRemInvReqErr, driver.WCRemAccessErr, driver.WCRemOpErr, driver.WCRNRRetryExcErr:
		return s
	}
	return driver.WCGeneralErr
}
