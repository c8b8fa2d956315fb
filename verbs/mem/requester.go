// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"time"

	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
	"lazystate/verbs/internal/soft"
)

type kind uint8

const (
	request  kind = iota
	ack           // everything up to psn
	response      // of a READ or an atomic; acknowledges what came before too
	nakSeq        // psn is expected
	nakRNR        // there is no receive for psn
	nakError      // psn failed with status
)

// message is what travels: a request or what answers it, in one piece.
type message struct {
	to, from driver.GID
	qp, src  uint32 // queue pair numbers
	kind     kind
	psn      seqnum.PSN

	op            driver.Opcode
	solicited     bool
	data          []byte
	addr, length  uint64
	rkey          uint32
	imm           uint32
	compare, swap uint64
	status        driver.WCStatus
	timer         uint8 // code of an RNR timer
}

const window = 128 // messages on their way, per queue pair

// engine is the reliable connection of one queue pair; under its lock.
type engine struct {
	qp  *soft.QP
	dev *Device

	// Requester.
	next            seqnum.PSN // of the next new request
	tries, rnrTries int
	since           time.Time // of the last progress, or of the first request behind it
	resting         bool      // after an RNR NAK
	wentBack        bool      // since the last progress
	timer           *time.Timer
	timerID         uint64

	// Responder.
	expected seqnum.PSN
	nakked   bool // said once that expected is missing
	replay   []replay
}

// replay is what an atomic found, for its duplicates.
type replay struct {
	psn seqnum.PSN
	old uint64
}

func (e *engine) halt() {
	e.timerID++
	if e.timer != nil {
		e.timer.Stop()
	}
}

// arm calls f after d unless something else is armed or halted before.
func (e *engine) arm(d time.Duration, f func()) {
	e.halt()
	id := e.timerID
	e.timer = time.AfterFunc(d, func() {
		e.qp.Lock()
		defer e.qp.Unlock()
		if id == e.timerID && e.qp.State == driver.QPRTS {
			f()
		}
	})
}

func (e *engine) send(m *message) {
	m.from, m.src = e.dev.gid, e.qp.Num
	m.to, m.qp = e.qp.Attr.AV.DGID, e.qp.Attr.DestQPN
	e.dev.net.send(m)
}

func rdAtomic(op driver.Opcode) bool {
	return op == driver.OpRDMARead || op == driver.OpAtomicCmpAndSwp || op == driver.OpAtomicFetchAndAdd
}

// transmit sends what may be sent now, in order.
func (e *engine) transmit() {
	if e.resting {
		return
	}
	flying, reads := 0, 0
	for _, s := range e.qp.Sends {
		if s.Done {
			if s.Status != driver.WCSuccess {
				break // nothing behind an error is executed
			}
			continue
		}
		rd := rdAtomic(s.Op)
		if !s.Sent {
			if flying >= window || rd && reads >= int(e.qp.Attr.MaxRdAtomic) || s.Flags&driver.SendFence != 0 && reads > 0 {
				break
			}
			if !e.start(s) {
				continue
			}
		}
		flying++
		if rd {
			reads++
		}
	}
	e.complete()
}

// start sends s for the first time; false if it ended here.
func (e *engine) start(s *soft.Send) bool {
	if status, here := e.qp.Here(s); here {
		s.Done, s.Status = true, status
		return false
	}
	if status := e.check(s); status != driver.WCSuccess {
		s.Done, s.Status = true, status
		return false
	}
	s.Sent, s.Seq = true, uint32(e.next)
	e.next = e.next.Add(1)
	e.put(s)
	if e.timer == nil {
		e.since = time.Now()
		e.watch()
	}
	return !s.Done
}

func (e *engine) check(s *soft.Send) driver.WCStatus {
	atomics := s.Op == driver.OpAtomicCmpAndSwp || s.Op == driver.OpAtomicFetchAndAdd
	switch {
	case s.Length > maxMessage, atomics && s.Length != 8:
		return driver.WCLocLenErr
	case rdAtomic(s.Op) && e.qp.Attr.MaxRdAtomic == 0:
		return driver.WCLocQPOpErr
	case rdAtomic(s.Op) && !e.qp.Dev.Writable(e.qp.PD, s.SG):
		return driver.WCLocProtErr
	}
	return driver.WCSuccess
}

// put sends s, again or for the first time.
func (e *engine) put(s *soft.Send) {
	m := &message{
		kind: request, psn: seqnum.PSN(s.Seq), op: s.Op, solicited: s.Flags&driver.SendSolicited != 0, addr: s.RemoteAddr, rkey: s.RKey,
		length: s.Length, imm: s.Imm, compare: s.CompareAdd, swap: s.Swap,
	}
	if !rdAtomic(s.Op) {
		m.data = make([]byte, s.Length)
		if s.Flags&driver.SendInline != 0 {
			copy(m.data, s.Inline)
		} else if !e.qp.Dev.Gather(e.qp.PD, s.SG, 0, m.data) {
			s.Done, s.Status = true, driver.WCLocProtErr
			return
		}
	}
	e.send(m)
}

// oldest returns the request that the peer has to answer next.
func (e *engine) oldest() *soft.Send {
	for _, s := range e.qp.Sends {
		if s.Sent && !s.Done {
			return s
		}
	}
	return nil
}

// repeatAfter is when a request is sent again at the latest: what was lost comes
// soon though the peer may be silent for long.
const repeatAfter = 67 * time.Millisecond

// watch starts the timer of the oldest request anew. When all tries are made it
// runs as long as they would have taken.
func (e *engine) watch() {
	if e.resting {
		return // its timer is the one that counts
	}
	e.halt()
	e.timer = nil
	d := driver.AckTimeout(e.qp.Attr.Timeout)
	if d == 0 || e.oldest() == nil {
		return
	}
	next := min(d, repeatAfter)
	if e.tries >= int(e.qp.Attr.RetryCount) {
		next = max(next, time.Until(e.since.Add(d*time.Duration(e.qp.Attr.RetryCount+1))))
	}
	e.arm(next, e.timeout)
}

func (e *engine) timeout() {
	e.timer = nil
	s := e.oldest()
	if s == nil {
		return
	}
	e.tries++
	if e.tries > int(e.qp.Attr.RetryCount) {
		s.Done, s.Status = true, driver.WCRetryExcErr
		e.complete()
		return
	}
	e.resend()
}

// resend sends everything again that was not answered.
func (e *engine) resend() {
	for _, s := range e.qp.Sends {
		if s.Sent && !s.Done {
			e.put(s)
		}
	}
	e.watch()
	e.complete()
}

// complete hands completions over, and ends the connection at the first error.
func (e *engine) complete() {
	if len(e.qp.Sends) > 0 && e.qp.Sends[0].Done {
		e.qp.EndSend(e.qp.Sends[0], e.qp.Sends[0].Status)
	}
}

// answered takes a message that answers requests.
func (e *engine) answered(m *message) {
	if !m.psn.Less(e.next) {
		return // of nothing that was sent
	}
	missing := e.acknowledge(m)
	switch m.kind {
	case response, nakError:
		e.end(m)
	case nakRNR:
		e.rest(m)
	case nakSeq:
		missing = true
	}
	e.complete()
	if e.qp.State != driver.QPRTS || e.resting {
		return
	}
	if missing && !e.wentBack {
		e.wentBack = true
		e.resend()
	}
	e.transmit()
}

// acknowledge ends what m says has arrived. It reports whether an answer is
// missing that was sent before m: it was lost.
func (e *engine) acknowledge(m *message) (missing bool) {
	for _, s := range e.qp.Sends {
		if !s.Sent {
			break
		}
		n := seqnum.PSN(s.Seq).Diff(m.psn)
		if n > 0 || n == 0 && m.kind != ack {
			break
		}
		switch {
		case s.Done:
		case rdAtomic(s.Op):
			missing = true
		default:
			s.Done = true
			e.progress()
		}
	}
	return missing
}

func (e *engine) progress() {
	e.tries, e.rnrTries, e.wentBack, e.since = 0, 0, false, time.Now()
	e.watch()
}

// end ends the one request that m is about.
func (e *engine) end(m *message) {
	for _, s := range e.qp.Sends {
		if !s.Sent || seqnum.PSN(s.Seq) != m.psn || s.Done {
			continue
		}
		s.Done, s.Status = true, m.status
		if m.kind == response && !e.scatter(s, m.data) {
			s.Status = driver.WCLocProtErr
		}
		e.progress()
		return
	}
}

func (e *engine) scatter(s *soft.Send, data []byte) bool {
	if uint64(len(data)) != s.Length {
		return false
	}
	return e.qp.Dev.Scatter(e.qp.PD, s.SG, 0, data)
}

// rest waits before the request that found no receive is sent again.
func (e *engine) rest(m *message) {
	s := e.oldest()
	if s == nil || seqnum.PSN(s.Seq) != m.psn || e.resting {
		return
	}
	e.rnrTries++
	if max := int(e.qp.Attr.RNRRetry); max != 7 && e.rnrTries > max {
		s.Done, s.Status = true, driver.WCRNRRetryExcErr
		return
	}
	e.resting = true
	e.arm(driver.RNRTimer(m.timer), func() {
		e.resting, e.timer = false, nil
		e.resend()
		e.transmit()
	})
}
