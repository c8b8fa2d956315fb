// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"testing"

	"lazystate/backdoor/uapi"
	"lazystate/sensorbox"
)

// Both readings of the lock's words are the target's: any bytes are a lock or none.
func FuzzDecodeLock(f *testing.F) {
	a := uapi.LockAck{Magic: uapi.LockMagic, State: uapi.LockHeld, LeaseEndNs: 7, Grants: 3}
	f.Add(a.Encode()[:uapi.LockAckCPUOff], a.Encode()[:uapi.LockAckCPUOff])
	f.Fuzz(func(t *testing.T, first, last []byte) {
		b := &buffers{lock: make([]byte, 2*uapi.LockAckCPUOff)}
		copy(b.lock[:uapi.LockAckCPUOff], first)
		copy(b.lock[uapi.LockAckCPUOff:], last)
		l := b.lockWord()
		one, two := decodeLock(b.lock[:uapi.LockAckCPUOff]), decodeLock(b.lock[uapi.LockAckCPUOff:])
		if (one.State != 0 || two.State != 0) != (l != sensorbox.Lock{} && l.State != 0) {
			t.Errorf("%+v and %+v make %+v", one, two, l)
		}
	})
}
