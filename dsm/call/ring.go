// SPDX-License-Identifier: Apache-2.0

package call

import (
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/internal/futex"
)

// ops is how many operations fit between two looks of the daemon.
const ops = 1024

// secondLook bounds every sleep: the other side may have died before it woke us.
const secondLook = 50 * time.Millisecond

// ring is struct bd_dsm_ring with what follows it, as one end has it mapped.
type ring struct {
	b             []byte
	locks, ops    uint32
	wordsAt, opAt uint32
}

// RingBytes is the size of a ring for so many locks, the heap's among them.
func RingBytes(locks uint32) int {
	page := unix.Getpagesize()
	return (uapi.DsmRingSize + 8*ops + 4*int(locks) + page - 1) / page * page
}

// newRing lays out zeros.
func newRing(b []byte, locks uint32) *ring {
	r := &ring{b: b, locks: locks, ops: ops, opAt: uapi.DsmRingSize, wordsAt: uapi.DsmRingSize + 8*ops}
	h := uapi.DsmRing{Magic: uapi.DsmMagic, Locks: locks, Ops: r.ops, WordsAt: r.wordsAt, OpsAt: r.opAt, Gate: uapi.DsmGateShut}
	h.Put(b)
	return r
}

// openRing checks what the other side has laid out.
func openRing(b []byte) (*ring, error) {
	var h uapi.DsmRing
	if err := h.Decode(b); err != nil {
		return nil, err
	}
	fits := func(at uint32, size uint64) bool { return at%8 == 0 && uint64(at)+size <= uint64(len(b)) }
	if h.Magic != uapi.DsmMagic || h.Ops == 0 || h.Ops&(h.Ops-1) != 0 ||
		!fits(h.OpsAt, 8*uint64(h.Ops)) || !fits(h.WordsAt, 4*uint64(h.Locks)) {
		return nil, fmt.Errorf("a ring of %d bytes: magic %#x, %d operations at %d, %d locks at %d", len(b), h.Magic, h.Ops, h.OpsAt, h.Locks, h.WordsAt)
	}
	return &ring{b: b, locks: h.Locks, ops: h.Ops, wordsAt: h.WordsAt, opAt: h.OpsAt}, nil
}

func (r *ring) word32(off uint32) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&r.b[off])) }

func (r *ring) word64(off uint32) *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&r.b[off])) }

func (r *ring) gate() *atomic.Uint64 { return r.word64(uapi.DsmRingGateOff) }

// op is where the operation with this number lies.
func (r *ring) op(tail uint32) *atomic.Uint64 { return r.word64(r.opAt + 8*(tail&(r.ops-1))) }

// token is 1 if the lock's may be taken and released without a call.
func (r *ring) token(lock uint32) *atomic.Uint32 { return r.word32(r.wordsAt + 4*lock) }

func (r *ring) arg(i int) *atomic.Uint64 { return r.word64(uapi.DsmRingArgOff + 8*uint32(i)) }

func (r *ring) why() []byte { return r.b[uapi.DsmRingWhyOff : uapi.DsmRingWhyOff+uapi.DsmText] }

// bell is a word that one end raises and the other sleeps on; sleeps is set by
// who does.
type bell struct{ word, sleeps *atomic.Uint32 }

func (r *ring) callBell() bell {
	return bell{r.word32(uapi.DsmRingCallOff), r.word32(uapi.DsmRingDsmdSleepsOff)}
}

func (r *ring) answerBell() bell {
	return bell{r.word32(uapi.DsmRingAnswerOff), r.word32(uapi.DsmRingProgramSleepsOff)}
}

// ring raises the word and wakes who sleeps on it.
func (b bell) ring(v uint32) {
	b.word.Store(v)
	if b.sleeps.Load() != 0 {
		futex.Wake(b.word)
	}
}

// wait sleeps while the word is seen, for a moment at most.
func (b bell) wait(seen uint32) {
	b.sleeps.Store(1)
	if b.word.Load() == seen {
		futex.Wait(b.word, seen, secondLook)
	}
	b.sleeps.Store(0)
}
