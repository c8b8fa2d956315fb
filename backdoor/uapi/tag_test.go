// SPDX-License-Identifier: Apache-2.0

package uapi

import (
	"encoding/binary"
	"testing"

	"github.com/dchest/siphash"
)

// The reference vector of SipHash-2-4 (Aumasson and Bernstein, appendix A):
// key 00..0f, message 00..0e. A tag's message is the boot id, then the rest.
func TestTagIsSipHash24(t *testing.T) {
	var key Key
	msg := make([]byte, 15)
	for i := range key {
		key[i] = byte(i)
	}
	for i := range msg {
		msg[i] = byte(i)
	}
	k0, k1 := binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])
	if got := siphash.Hash(k0, k1, msg); got != 0xa129ca6149be45e5 {
		t.Fatalf("SipHash-2-4 gives %#x", got)
	}
	boot := [16]byte{1, 2, 3}
	full := append(append(boot[:len(boot):len(boot)], 9, 0, 0, 0, 5, 0, 0, 0), "body"...)
	if got, want := Tag(key, boot, KindKillReq, 5, []byte("body")), siphash.Hash(k0, k1, full); got != want {
		t.Errorf("Tag = %#x, want %#x", got, want)
	}
}

// Every input that the protocol binds must change the tag.
func TestTagBindsEverything(t *testing.T) {
	base := KillSlot{StartTime: 1, PID: 2, Signal: 9, Seq: 4}
	sign := func(s KillSlot, key Key, boot [16]byte, i uint32) uint64 { s.Sign(key, boot, i); return s.Tag }
	seen := map[uint64]string{}
	add := func(what string, tag uint64) {
		if other, ok := seen[tag]; ok {
			t.Errorf("%s and %s have one tag", what, other)
		}
		seen[tag] = what
	}
	add("base", sign(base, Key{1}, [16]byte{1}, 0))
	add("key", sign(base, Key{2}, [16]byte{1}, 0))
	add("boot id", sign(base, Key{1}, [16]byte{2}, 0))
	add("index", sign(base, Key{1}, [16]byte{1}, 1))
	add("pid", sign(KillSlot{StartTime: 1, PID: 3, Signal: 9, Seq: 4}, Key{1}, [16]byte{1}, 0))
	add("start", sign(KillSlot{StartTime: 2, PID: 2, Signal: 9, Seq: 4}, Key{1}, [16]byte{1}, 0))
	add("seq", sign(KillSlot{StartTime: 1, PID: 2, Signal: 9, Seq: 5}, Key{1}, [16]byte{1}, 0))
	lock := LockReq{Want: WantLock, LeaseMs: 1000, Seq: 1}
	lock.Sign(Key{1}, [16]byte{1}, KindLockReq)
	asLock := lock.Tag
	lock.Sign(Key{1}, [16]byte{1}, KindFence)
	add("lock", asLock)
	add("fence", lock.Tag)
}
