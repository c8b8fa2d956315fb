// SPDX-License-Identifier: Apache-2.0

package rdmatest

import (
	"errors"
	"testing"

	"lazystate/backdoor/uapi"
)

// firstCounter is below all counters of a target that is loaded anew: with another boot
// id it takes any.
const firstCounter = 1000

// hello is what a test says that connects; zero values are those of a monitor
// that is let in.
type hello struct {
	monitor uint32
	flags   uint32
	join    uint32
	counter uint64
	key     *uapi.Key
	boot    *[16]byte
	addr    string
	change  func(*uapi.Hello) // before it is signed
}

func (k *loaded) text(h hello) []byte {
	k.counter++
	w := uapi.Hello{
		Magic: uapi.HelloMagic, Major: uapi.VersionMajor, Minor: uapi.VersionMinor,
		Monitor: h.monitor, Flags: h.flags, Join: h.join, Counter: k.counter,
	}
	if h.counter != 0 {
		w.Counter = h.counter
	}
	if h.change != nil {
		h.change(&w)
	}
	key, boot := keys[h.monitor], k.boot
	if h.key != nil {
		key = *h.key
	}
	if h.boot != nil {
		boot = *h.boot
	}
	w.Sign(key, boot)
	return w.Encode()
}

func (k *loaded) tryDial(t *testing.T, h hello) (*conn, error) {
	t.Helper()
	addr := k.addr
	if h.addr != "" {
		addr = h.addr
	}
	return k.peer.dialRaw(t, addr, k.text(h))
}

// dial connects, and finds the grant signed by a target that knows the key.
func (k *loaded) dial(t *testing.T, h hello) *conn {
	t.Helper()
	c, err := k.tryDial(t, h)
	if err != nil {
		t.Fatalf("dial as monitor %d: %v", h.monitor, err)
	}
	g := &c.grant
	if g.Magic != uapi.GrantMagic || g.Monitor != h.monitor || g.Root.BootID != k.boot || !g.SignedWith(keys[h.monitor]) {
		t.Fatalf("the grant: %+v", g)
	}
	return c
}

// refused dials and wants a denial for that reason, which it returns.
func (k *loaded) refused(t *testing.T, h hello, reason uint32) *uapi.Denial {
	t.Helper()
	c, err := k.tryDial(t, h)
	var r *rejected
	if err == nil {
		c.close(t)
		t.Errorf("%+v was let in", h)
		return &uapi.Denial{}
	}
	if !errors.As(err, &r) || r.denial.Magic != uapi.DenialMagic || r.denial.Reason != reason {
		t.Errorf("%+v: %v, want %s", h, err, uapi.DenialReasonName(reason))
		return &uapi.Denial{}
	}
	return &r.denial
}
