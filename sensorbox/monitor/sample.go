// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/sensorbox"
)

// buffers is one sample's memory: it belongs to the carrier from Post until
// the batch completes, also when nobody waits for it any more.
type buffers struct {
	box, lock, panic, users []byte
	batch                   *backdoor.Batch
	fixed                   int // operations of every sample; behind them: the user pages
	usersOp                 backdoor.Op
	inFlight                bool
}

const pageSize = 4096

// newBuffers makes the operations of one sample for the target's regions.
// Order matters to the reader of a freeze: the lock's word is read first and
// again last, so a sample that overlaps a freeze on either side shows it.
func newBuffers(t *backdoor.Target) (*buffers, error) {
	box, err := t.Region(uapi.KindSensorbox)
	if err != nil {
		return nil, err
	}
	b := &buffers{box: make([]byte, min(box.Len, mostBox))}
	ops := []backdoor.Op{}
	if r, err := t.Region(uapi.KindLockAck); err == nil && r.Len >= uapi.LockAckCPUOff {
		b.lock = make([]byte, 2*uapi.LockAckCPUOff)
		ops = append(ops, r.Read(0, b.lock[:uapi.LockAckCPUOff]), box.Read(0, b.box), r.Read(0, b.lock[uapi.LockAckCPUOff:]))
	} else {
		ops = append(ops, box.Read(0, b.box))
	}
	if r, err := t.Region(uapi.KindPanic); err == nil && r.Len >= uapi.PanicSize {
		b.panic = make([]byte, uapi.PanicSize)
		ops = append(ops, r.Read(0, b.panic))
	}
	b.fixed = len(ops)
	if r, err := t.Region(uapi.KindUserSensors); err == nil {
		b.users = make([]byte, min(r.Len, uapi.UserRegionPages*pageSize))
		b.usersOp = r.Read(0, b.users)
		ops = append(ops, b.usersOp)
	}
	b.batch = backdoor.NewRepeatBatch(ops...)
	return b, nil
}

// mostBox bounds what is read for a box, whatever its region says.
const mostBox = 64 << 10

// post starts the sample; pages is how many it brings of
// the region of user sensors, whose first is the directory.
func (b *buffers) post(ctx context.Context, m backdoor.Memory, pages int) {
	ops := b.batch.Ops[:b.fixed]
	for i := range ops {
		ops[i].Err = nil
	}
	if n := min(pages*pageSize, len(b.users)); n > 0 {
		ops = ops[:b.fixed+1]
		ops[b.fixed] = b.usersOp
		ops[b.fixed].Buf = b.users[:n]
	}
	b.batch.Ops = ops
	b.inFlight = true
	m.Post(ctx, b.batch)
}

// wait waits until the batch has completed, or the slot has gone by.
func (b *buffers) wait(ctx context.Context, timer *time.Timer, slot time.Duration) bool {
	select {
	case <-b.batch.Done():
		b.inFlight = false
		return true
	default:
	}
	timer.Reset(slot)
	defer timer.Stop()
	select {
	case <-b.batch.Done():
		b.inFlight = false
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// free reports whether the buffers are this side's, after a late completion too.
func (b *buffers) free() bool {
	if b.inFlight {
		select {
		case <-b.batch.Done():
			b.inFlight = false
		default:
		}
	}
	return !b.inFlight
}

// lockWord returns the state of the repair lock: frozen if either reading says so.
func (b *buffers) lockWord() sensorbox.Lock {
	if b.lock == nil {
		return sensorbox.Lock{}
	}
	first, last := decodeLock(b.lock[:uapi.LockAckCPUOff]), decodeLock(b.lock[uapi.LockAckCPUOff:])
	if last.State == uapi.LockFree {
		first.Grants = last.Grants
		return first
	}
	return last
}

func decodeLock(b []byte) sensorbox.Lock {
	if binary.LittleEndian.Uint64(b[uapi.LockAckMagicOff:]) != uapi.LockMagic {
		return sensorbox.Lock{}
	}
	return sensorbox.Lock{
		State:    binary.LittleEndian.Uint32(b[uapi.LockAckStateOff:]),
		LeaseEnd: binary.LittleEndian.Uint64(b[uapi.LockAckLeaseEndNsOff:]),
		Grants:   binary.LittleEndian.Uint64(b[uapi.LockAckGrantsOff:]),
	}
}

// panicStamp returns the target's last words, "" if there are none.
func (b *buffers) panicStamp() string {
	if p := backdoor.DecodePanic(b.panic); p != nil {
		return p.String()
	}
	return ""
}

// foreign reports a box that carries another boot's id.
func (b *buffers) foreign(id backdoor.BootID) bool {
	return len(b.box) >= uapi.SboxSize && !bytes.Equal(b.box[uapi.SboxBootIDOff:uapi.SboxBootIDOff+16], id[:])
}
