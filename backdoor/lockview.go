// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/internal/pause"
)

// CPUMask is a set of the target's CPUs.
type CPUMask [4]uint64

// Has reports whether a CPU is in the set.
func (m CPUMask) Has(cpu int) bool { return cpu >= 0 && cpu < 256 && m[cpu/64]>>(cpu%64)&1 == 1 }

// Empty reports whether no CPU is in the set.
func (m CPUMask) Empty() bool { return m == CPUMask{} }

// String lists the CPUs: "0,3".
func (m CPUMask) String() string {
	var b []byte
	for cpu := range 256 {
		if !m.Has(cpu) {
			continue
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(cpu), 10)
	}
	return string(b)
}

// CPUState is where one CPU stood when the lock stopped it.
type CPUState struct {
	Where   uint32 // uapi.CPU*
	Drained bool   // in user space or idle
}

// LockView is a validated copy of the target's word on its lock.
type LockView struct {
	State   uint32 // uapi.Lock*
	Holder  uint32 // monitor slot; valid unless free
	Epoch   uint32
	Drained bool // no CPU was left inside the kernel; else the view is raw
	CPUs    []CPUState

	Parked, IPI, NMI, Free CPUMask

	Grants, Expired      uint64
	Since, LeaseEnd, Now time.Duration // on the target's monotonic clock
	Refusal              [uapi.Monitors]uint32
	RefusedSeq           [uapi.Monitors]uint64
	AcceptedSeq          [uapi.Monitors]uint64
}

// DecodeLockAck validates a copy of struct bd_lock_ack.
func DecodeLockAck(b []byte) (*LockView, error) {
	var a uapi.LockAck
	if err := a.Decode(b); err != nil {
		return nil, corrupt("lock ack", "%v", err)
	}
	switch {
	case a.Magic != uapi.LockMagic:
		return nil, corrupt("lock ack", "magic %#x", a.Magic)
	case a.State > uapi.LockFenced:
		return nil, corrupt("lock ack", "state %d", a.State)
	case a.NCPUs > uapi.MaxCPUs:
		return nil, corrupt("lock ack", "%d CPUs", a.NCPUs)
	case a.Holder >= uapi.Monitors && a.State != uapi.LockFree:
		return nil, corrupt("lock ack", "%s by monitor %d", uapi.LockStateName(a.State), a.Holder)
	}
	v := &LockView{
		State: a.State, Holder: a.Holder, Epoch: a.Epoch, Drained: a.Drained == 1,
		Parked: a.Parked, IPI: a.IPI, NMI: a.NMI, Free: a.Free,
		Grants: a.Grants, Expired: a.Expired,
		Since: time.Duration(a.SinceNs), LeaseEnd: time.Duration(a.LeaseEndNs), Now: time.Duration(a.NowNs),
		Refusal: a.Refusal, RefusedSeq: a.RefusedSeq, AcceptedSeq: a.AcceptedSeq,
	}
	for _, c := range a.CPU[:a.NCPUs] {
		v.CPUs = append(v.CPUs, CPUState{Where: uint32(c.Where), Drained: c.Drained == 1})
	}
	return v, nil
}

// ErrTorn: a record was still being written after a bounded number of reads.
var ErrTorn = errors.New("record is being written at every read")

const ackTries = 16

// LockView reads the lock's acknowledgement: whole, or ErrTorn.
func (t *Target) LockView(ctx context.Context) (*LockView, error) {
	r, err := t.Region(uapi.KindLockAck)
	if err != nil {
		return nil, err
	}
	buf, again := make([]byte, uapi.LockAckSize), make([]byte, 4)
	for range ackTries {
		// The operations run in order: an even count in the copy that is
		// still there afterwards means that nobody wrote in between.
		if err := t.Do(ctx, r.Read(0, buf), r.Read(uapi.LockAckSeqOff, again)); err != nil {
			return nil, fmt.Errorf("read lock ack: %w", err)
		}
		seq := binary.LittleEndian.Uint32(buf[uapi.LockAckSeqOff:])
		if seq%2 == 0 && seq == binary.LittleEndian.Uint32(again) {
			return DecodeLockAck(buf)
		}
		if err := pause.For(ctx, 50*time.Microsecond); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("read lock ack: %w", ErrTorn)
}
