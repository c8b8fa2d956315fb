// SPDX-License-Identifier: Apache-2.0

package call

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
)

// Call is what the program asks for; nothing of it has been checked.
type Call struct {
	Kind uint32
	Args [3]uint64
}

func (c Call) String() string { return fmt.Sprintf("%s%v", uapi.DsmCallName(c.Kind), c.Args) }

// Op is an operation that the program did without a call.
type Op struct{ Kind, Lock uint32 }

// Next waits for a call, and is false after a moment without one.
func (s *Server) Next() (Call, bool) {
	b, last := s.ring.callBell(), s.last.Load()
	if b.word.Load() == last {
		if b.wait(last); b.word.Load() == last {
			return Call{}, false
		}
	}
	s.last.Store(last + 1) // what the program says beyond one is its own loss
	c := Call{Kind: s.ring.word32(uapi.DsmRingKindOff).Load()}
	for i := range c.Args {
		c.Args[i] = s.ring.arg(i).Load()
	}
	return c, true
}

// Answer ends the call.
func (s *Server) Answer(cause uint32, flags Flags, why string) {
	r := s.ring
	r.word32(uapi.DsmRingErrorOff).Store(cause)
	r.word32(uapi.DsmRingFlagsOff).Store(uint32(flags))
	uapi.PutCString(r.why(), why)
	r.answerBell().ring(s.last.Load())
}

// Shut shuts the gate and returns what the program did without a call since it was
// shut before. An error is a program that has written over the ring.
func (s *Server) Shut() ([]Op, error) {
	r := s.ring
	gate := r.gate().Load()
	for !r.gate().CompareAndSwap(gate, gate|uapi.DsmGateShut) {
		gate = r.gate().Load()
	}
	tail := uint32(gate & uapi.DsmGateTail)
	if tail == s.tail {
		return nil, nil
	}
	if tail-s.tail > r.ops {
		return nil, fmt.Errorf("%d operations in a ring of %d", tail-s.tail, r.ops)
	}
	done := make([]Op, 0, tail-s.tail)
	for ; s.tail != tail; s.tail++ {
		v := r.op(s.tail).Load()
		done = append(done, Op{uint32(v >> 32), uint32(v)})
	}
	r.word32(uapi.DsmRingTakenOff).Store(tail)
	for _, op := range done {
		if op.Kind != uapi.DsmAcquire && op.Kind != uapi.DsmRelease || op.Lock >= r.locks {
			return nil, fmt.Errorf("operation %s of lock %d in the ring", uapi.DsmCallName(op.Kind), op.Lock)
		}
	}
	return done, nil
}

// Open opens the gate. What the program looked at before it was shut counts no
// more.
func (s *Server) Open() {
	g := s.ring.gate()
	turn := (g.Load() + 1<<32) & uapi.DsmGateTurn
	g.Store(turn | uint64(s.tail))
}

// Token says whether a lock may be taken and released without a call. The gate is
// shut.
func (s *Server) Token(lock uint32, alone bool) {
	var v uint32
	if alone {
		v = 1
	}
	s.ring.token(lock).Store(v)
}

// Private reads the first n bytes of the private state.
func (s *Server) Private(n uint64) ([]byte, error) {
	var st unix.Stat_t
	fd := s.mine[1]
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("private state: %w", err)
	}
	if n > uint64(st.Size) {
		return nil, fmt.Errorf("private state: %d bytes of %d", st.Size, n)
	}
	state := make([]byte, n)
	for off := 0; off < len(state); {
		k, err := unix.Pread(fd, state[off:], int64(off))
		switch {
		case err != nil && err != unix.EINTR:
			return nil, fmt.Errorf("private state: %w", err)
		case err == nil && k == 0:
			return nil, fmt.Errorf("private state: %d bytes of %d", off, n)
		}
		off += max(k, 0)
	}
	return state, nil
}
