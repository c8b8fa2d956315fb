// SPDX-License-Identifier: Apache-2.0

package rdmatest

import (
	"errors"
	"strings"
	"testing"

	"lazystate/backdoor/uapi"
)

// TestMonitor: who comes to a target that stays as it is, and what he gets.
func TestMonitor(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		load(t, kernel, "allow_repair=1").each(t, []step{
			{"hello", (*loaded).hellos}, {"ask again", (*loaded).askAgain}, {"IPv6", (*loaded).ipv6}, {"two monitors", (*loaded).twoMonitors}, {"keys anew", (*loaded).keysAnew},
			{"memory", (*loaded).memoryPieces}, {"out of range", (*loaded).outOfRange}, {"read only", (*loaded).readOnly},
			{"region change", (*loaded).regionChange}, {"revoke", (*loaded).revoked},
		})
	})
}

// hellos: who is let in, who is not, and what each is told (DECISIONS 15).
func (k *loaded) hellos(t *testing.T) {
	c := k.dial(t, hello{})
	if g := c.grant; g.Counter != k.counter || g.Grant == 0 || g.Flags&uapi.GrantSoftware == 0 || g.Flags&uapi.GrantLock == 0 {
		t.Errorf("the grant: %+v", g)
	}
	taken := k.counter
	wrong, none := uapi.Key{0xbb}, [16]byte{}
	for name, c := range map[string]struct {
		h      hello
		reason uint32
	}{
		"another key":      {hello{key: &wrong}, uapi.DenyTag},
		"another's key":    {hello{monitor: 1, key: ptr(keys[0])}, uapi.DenyTag},
		"a slot without":   {hello{monitor: 3}, uapi.DenyNoKey},
		"no such slot":     {hello{monitor: uapi.Monitors}, uapi.DenyMalformed},
		"a replay":         {hello{counter: taken}, uapi.DenyCounter},
		"an older counter": {hello{counter: 1}, uapi.DenyCounter},
		"an earlier boot":  {hello{boot: &[16]byte{9}}, uapi.DenyBootID},
		"no boot id":       {hello{boot: &none}, uapi.DenyBootID},
		"another version":  {hello{change: func(h *uapi.Hello) { h.Major++ }}, uapi.DenyVersion},
		"another magic":    {hello{change: func(h *uapi.Hello) { h.Magic++ }}, uapi.DenyMalformed},
		"reserved words":   {hello{change: func(h *uapi.Hello) { h.Reserved = 1 }}, uapi.DenyMalformed},
		"unknown flags":    {hello{flags: 1 << 31}, uapi.DenyMalformed},
		"no such grant":    {hello{join: 4711}, uapi.DenyJoin},
		"another's grant":  {hello{monitor: 1, join: c.grant.Grant}, uapi.DenyJoin},
	} {
		t.Run(name, func(t *testing.T) {
			before := k.denied(t, c.reason)
			d := k.refused(t, c.h, c.reason)
			if d.BootID != k.boot || d.Monitor != c.h.monitor {
				t.Errorf("the denial: %+v", d)
			}
			key, has := keys[c.h.monitor]
			if signed := d.SignedWith(key); has && !signed || !has && d.Tag != 0 {
				t.Errorf("signed: %v; tag %#x", signed, d.Tag)
			}
			if c.h.monitor == 0 && d.Highest < taken {
				t.Errorf("the highest counter is %d, not %d", d.Highest, taken)
			}
			if n := k.denied(t, c.reason); n != before+1 {
				t.Errorf("counted %d times", n-before)
			}
		})
	}
	t.Run("bytes of no hello", func(t *testing.T) {
		var r *rejected
		for _, b := range [][]byte{nil, {1}, make([]byte, uapi.HelloMax)} {
			if _, err := k.peer.dialRaw(t, k.addr, b); !errors.As(err, &r) || r.denial.Reason != uapi.DenyMalformed {
				t.Errorf("%x: %v", b, err)
			}
		}
	})
	c.read(t, c.grant.RootAddr, c.grant.RootKey, uapi.RootSize) // nothing of it touched who was in
	c.close(t)
	k.grants(t, 0)
}

func ptr[T any](v T) *T { return &v }

// askAgain: a monitor that knows no boot id is told it, and gets in.
func (k *loaded) askAgain(t *testing.T) {
	d := k.refused(t, hello{boot: &[16]byte{}}, uapi.DenyBootID)
	if !d.SignedWith(keys[0]) {
		t.Fatal("the denial has a wrong tag")
	}
	k.dial(t, hello{boot: &d.BootID}).close(t)
}

// ipv6: the same over IPv6.
func (k *loaded) ipv6(t *testing.T) {
	c := k.dial(t, hello{addr: addrs[k.vm.Config().Kernel][1]})
	c.read(t, c.grant.RootAddr, c.grant.RootKey, uapi.RootSize)
	c.close(t)
}

// twoMonitors: each has keys of its own, and one's end is not the other's.
func (k *loaded) twoMonitors(t *testing.T) {
	a, b := k.dial(t, hello{}), k.dial(t, hello{monitor: 1})
	ga, gb := a.grant, b.grant
	if ga.Grant == gb.Grant || ga.RootKey == gb.RootKey || ga.RootAddr == gb.RootAddr || ga.Root.TableKey == gb.Root.TableKey {
		t.Errorf("shared: %+v, %+v", ga, gb)
	}
	b.read(t, gb.RootAddr, gb.RootKey, uapi.RootSize)
	if _, err := a.tryRead(t, gb.RootAddr, gb.RootKey, uapi.RootSize); !errors.Is(err, statusAccess) {
		t.Errorf("one monitor with the other's key: %v", err)
	}
	b.read(t, gb.RootAddr, gb.RootKey, uapi.RootSize)
	a.close(t)
	b.read(t, gb.RootAddr, gb.RootKey, uapi.RootSize)
	if lines := k.grants(t, 1); !strings.Contains(lines[0], "monitor 1") {
		t.Errorf("%q", lines)
	}
	b.close(t)
	k.grants(t, 0)
}

// keysAnew: each grant has keys of its own, also one after another of the same
// monitor; those of the former, recorded, open nothing for the next.
func (k *loaded) keysAnew(t *testing.T) {
	c := k.dial(t, hello{})
	old, before := c.grant, c.table(t)
	c.close(t)
	k.grants(t, 0)
	for range 3 {
		c = k.dial(t, hello{})
		now := c.table(t)
		if c.grant.RootKey == old.RootKey {
			t.Errorf("the root has its former key %#x", old.RootKey)
		}
		for name, r := range now {
			if r.Key == before[name].Key {
				t.Errorf("%s has its former key %#x", name, r.Key)
			}
		}
		if _, err := c.tryRead(t, now["manifest"].Addr, before["manifest"].Key, 8); !errors.Is(err, statusAccess) {
			t.Errorf("the manifest by its former key: %v", err)
		}
		c.close(t)
		k.grants(t, 0)
		old, before = c.grant, now
	}
}

// TestJoin: more queue pairs under the same keys, as many as allowed, and the
// grant lives as long as its last one.
// In make test on one kernel: it is the same code on both.
func TestJoin(t *testing.T) {
	onOne(t, "6.1", func(t *testing.T, kernel string) {
		k := load(t, kernel, "rdma.qps=3")
		a := k.dial(t, hello{})
		b, c := k.dial(t, hello{join: a.grant.Grant}), k.dial(t, hello{join: a.grant.Grant})
		if a.grant.RootKey != b.grant.RootKey || b.grant.RootAddr != c.grant.RootAddr || a.grant.Grant != c.grant.Grant {
			t.Errorf("not joined: %+v, %+v, %+v", a.grant, b.grant, c.grant)
		}
		k.refused(t, hello{join: a.grant.Grant}, uapi.DenyFull)
		if _, err := a.tryRead(t, 0, 1, 8); !errors.Is(err, statusAccess) {
			t.Errorf("a wild read: %v", err)
		}
		a.close(t) // the first, whose fault is not the others'
		b.read(t, a.grant.RootAddr, a.grant.RootKey, uapi.RootSize)
		c.read(t, a.grant.RootAddr, a.grant.RootKey, uapi.RootSize)
		b.close(t)
		c.close(t)
		k.grants(t, 0)
		k.refused(t, hello{join: a.grant.Grant}, uapi.DenyJoin)
	})
}

// TestNoneLocksOut: one monitor cannot take every place; a second grant of its own
// leaves one for each of the others.
// In make test on one kernel: it is the same code on both.
func TestNoneLocksOut(t *testing.T) {
	onOne(t, "6.12", func(t *testing.T, kernel string) {
		k := load(t, kernel, "rdma.grants=4")
		all := []*conn{k.dial(t, hello{}), k.dial(t, hello{})}
		k.refused(t, hello{}, uapi.DenyFull)
		for _, m := range []uint32{1, 2} {
			c := k.dial(t, hello{monitor: m})
			c.read(t, c.grant.RootAddr, c.grant.RootKey, uapi.RootSize)
			all = append(all, c)
		}
		for _, c := range all {
			c.close(t)
		}
		k.grants(t, 0)
	})
}

// TestFull: one monitor too many, and one who comes again with a takeover.
// In make test on one kernel: it is the same code on both.
func TestFull(t *testing.T) {
	onOne(t, "6.12", func(t *testing.T, kernel string) {
		k := load(t, kernel, "rdma.grants=2")
		a, b := k.dial(t, hello{}), k.dial(t, hello{monitor: 1})
		k.refused(t, hello{monitor: 2}, uapi.DenyFull)
		again := k.dial(t, hello{flags: uapi.HelloTakeover})
		if _, err := a.tryRead(t, a.grant.RootAddr, a.grant.RootKey, 8); err == nil {
			t.Error("the keys of the monitor's earlier life still count")
		}
		again.read(t, again.grant.RootAddr, again.grant.RootKey, uapi.RootSize)
		b.read(t, b.grant.RootAddr, b.grant.RootKey, uapi.RootSize)
		k.grants(t, 2)
	})
}
