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

// Hello, denial and grant are bound to the key, the boot and every byte before
// their tag, and none counts as another.
func TestConnectingIsAuthenticated(t *testing.T) {
	key, boot := Key{7}, [16]byte{9}
	h := Hello{Magic: HelloMagic, Monitor: 3, Counter: 5}
	h.Sign(key, boot)
	d := Denial{Magic: DenialMagic, Monitor: 3, BootID: boot, Counter: 5}
	d.Sign(key)
	g := Grant{Magic: GrantMagic, Monitor: 3, Counter: 5, Root: Root{BootID: boot}}
	g.Sign(key)
	if !h.SignedWith(key) || !d.SignedWith(key) || !g.SignedWith(key) {
		t.Fatal("its own tag is refused")
	}
	if h.SignedWith(Key{8}) || d.SignedWith(Key{8}) || g.SignedWith(Key{8}) {
		t.Error("another key's tag is taken")
	}
	h.Counter, d.Highest, g.Write = 6, 1, 1
	if h.SignedWith(key) || d.SignedWith(key) || g.SignedWith(key) {
		t.Error("a changed body is taken")
	}
	h.Counter, d.Highest, g.Write = 5, 0, 0
	h.BootID, d.BootID, g.Root.BootID = [16]byte{}, [16]byte{}, [16]byte{}
	if h.SignedWith(key) || d.SignedWith(key) || g.SignedWith(key) {
		t.Error("another boot's tag is taken")
	}
}

// Of a proposal the data counts as far as Len says, and so does its slot.
func TestProposalTag(t *testing.T) {
	tag := func(p Proposal, i uint32) uint64 { p.Sign(Key{1}, [16]byte{2}, i); return p.Tag }
	p := Proposal{Monitor: 1, Kind: KindKillReq, Len: 16, Seq: 4}
	base := tag(p, 0)
	p.Data[16] = 1
	if tag(p, 0) != base {
		t.Error("bytes behind Len count")
	}
	if tag(p, 1) == base {
		t.Error("the slot does not count")
	}
	p.Data[15] = 1
	if tag(p, 0) == base {
		t.Error("the data does not count")
	}
}
