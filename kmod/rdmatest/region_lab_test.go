// SPDX-License-Identifier: Apache-2.0

package rdmatest

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"lazystate/backdoor/uapi"
)

// healthy: the target answers, and its kernel has complained of nothing.
func (k *loaded) healthy(t *testing.T) {
	t.Helper()
	log := run(t, k.vm, "dmesg")
	for _, bad := range []string{"BUG:", "WARNING:", "Oops", "general protection", "call trace", "hung task", "blocked for more"} {
		if i := strings.Index(log, bad); i >= 0 {
			t.Errorf("the target's log: %s", log[i:min(i+1500, len(log))])
		}
	}
}

// TestRegions: what can be read is what the table of backdoor.ko has, byte by
// byte what QEMU sees at the same guest physical addresses.
func TestRegions(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1", "allow_fence=1")
		c := k.dial(t, hello{})
		regions := c.table(t)
		for _, name := range strings.Fields("table memory manifest panic lock.ack lock kill kill.ack knob knob.ack fence owner owner.ack proposal proposal.ack sensorbox uids foreign user_sensors") {
			if _, ok := regions[name]; !ok {
				t.Errorf("no region %s among %v", name, slices.Sorted(maps.Keys(regions)))
			}
		}
		if _, ok := regions["bar"]; ok {
			t.Error("a register of the I-NIC is offered over RDMA")
		}
		still := func(kind uint32) bool {
			return kind == uapi.KindManifest || kind == uapi.KindPanic || kind == uapi.KindForeign
		}
		for name, r := range regions {
			if r.BootID != k.boot || r.Key == 0 {
				t.Errorf("%s: %+v", name, r)
			}
			if !still(r.Kind) {
				continue
			}
			theirs, err := k.vm.PMemSave(t.Context(), r.GPA, r.Len)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(c.read(t, r.Addr, r.Key, int(r.Len)), theirs) {
				t.Errorf("%s: we and QEMU disagree", name)
			}
		}
		c.moves(t, regions["sensorbox"])
		c.close(t)
		k.healthy(t)
	})
}

// moves: the box's clock goes on between two reads.
func (c *conn) moves(t *testing.T, box uapi.Region) {
	t.Helper()
	var a, b uapi.Sbox
	for _, s := range []*uapi.Sbox{&a, &b} {
		if err := s.Decode(c.read(t, box.Addr, box.Key, uapi.SboxSize)); err != nil {
			t.Fatal(err)
		}
	}
	if a.Magic != uapi.SboxMagic || b.MonoNs < a.MonoNs {
		t.Errorf("%+v, then %+v", a, b)
	}
}

// memory are the pieces of RAM by address.
func memory(regions map[string]uapi.Region) []uapi.Region {
	var all []uapi.Region
	for _, r := range regions {
		if r.Kind == uapi.KindMemory {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b uapi.Region) int { return cmp.Compare(a.Addr, b.Addr) })
	return all
}

// memoryPieces: the pieces tile the RAM that backdoor.ko exports, but for the page
// that has the monitors' keys; their first and last words can be read, and each
// begins where its address says.
func (k *loaded) memoryPieces(t *testing.T) {
	c := k.dial(t, hello{})
	pieces := memory(c.table(t))
	var hidden []uint64
	for i, r := range pieces {
		for _, at := range []uint64{0, r.Len/2&^7 + 4, r.Len - 8} {
			theirs, err := k.vm.PMemSave(t.Context(), r.GPA+at, 8)
			if err != nil {
				t.Fatal(err)
			}
			if ours := c.read(t, r.Addr+at, r.Key, 8); !bytes.Equal(ours, theirs) && at == 0 {
				t.Errorf("%s+%#x: we read %x, QEMU %x", uapi.CString(r.Name[:]), at, ours, theirs)
			}
		}
		if i > 0 && r.GPA == pieces[i-1].GPA+pieces[i-1].Len+4096 {
			hidden = append(hidden, r.GPA-4096)
		}
	}
	if len(hidden) != 1 {
		t.Fatalf("%d pages are left out: %#x", len(hidden), hidden)
	}
	page, err := k.vm.PMemSave(t.Context(), hidden[0], 4096)
	if err != nil {
		t.Fatal(err)
	}
	key := keys[1]
	if !bytes.Contains(page, key[:]) {
		t.Error("the page that is left out has no key in it")
	}
	c.close(t)
	k.healthy(t)
}

// outOfRange: addresses that no key covers end the queue pair with a remote
// access error, and do nothing to the target.
func (k *loaded) outOfRange(t *testing.T) {
	c := k.dial(t, hello{})
	for name := range wild(c.table(t), c.grant) {
		at := wild(c.table(t), c.grant)[name] // each connection has keys of its own
		if _, err := c.tryRead(t, at.addr, at.key, at.n); !errors.Is(err, statusAccess) {
			t.Errorf("%s: %v", name, err)
		}
		again := k.again(t, &c)
		at = wild(again.table(t), again.grant)[name]
		if err := again.tryWrite(t, at.addr, at.key, make([]byte, at.n)); !errors.Is(err, statusAccess) {
			t.Errorf("write, %s: %v", name, err)
		}
		k.again(t, &c)
	}
	c.close(t)
	k.healthy(t)
}

// access is one that the target must refuse.
type access struct {
	addr uint64
	key  uint32
	n    int
}

// wild are accesses outside what the keys of a connection are for.
func wild(regions map[string]uapi.Region, grant uapi.Grant) map[string]access {
	pieces := memory(regions)
	first, last, lock := pieces[0], pieces[len(pieces)-1], regions["lock"]
	return map[string]access{
		"address 0":                {0, first.Key, 8},
		"below":                    {first.Addr - 8, first.Key, 8},
		"over the end of a piece":  {first.Addr + first.Len - 4, first.Key, 8},
		"between two pieces":       {0xa0000 + first.Addr - first.GPA, first.Key, 8},
		"behind all RAM":           {last.Addr + last.Len, last.Key, 8},
		"over the end of all RAM":  {last.Addr + last.Len - 4, last.Key, 8},
		"far above":                {last.Addr + 1<<40, last.Key, 8},
		"vmalloc":                  {0xffffc90000000000, last.Key, 8},
		"the kernel's image":       {0xffffffff81000000, last.Key, 8},
		"the last byte there is":   {0xffffffffffffffff, last.Key, 1},
		"one region by another":    {lock.Addr, regions["kill"].Key, 8},
		"a guessed key":            {lock.Addr, lock.Key ^ 0x55, 8},
		"a key of another index":   {lock.Addr, lock.Key + 0x10000, 8},
		"longer than all":          {lock.Addr, lock.Key, 1 << 20},
		"an address that wraps":    {^uint64(0) - 3, lock.Key, 64},
		"the key of no connection": {grant.RootAddr, grant.RootKey + 1, 8},
	}
}

// again replaces a connection that an error has ended.
func (k *loaded) again(t *testing.T, c **conn) *conn {
	t.Helper()
	(*c).close(t)
	*c = k.dial(t, hello{monitor: (*c).grant.Monitor, flags: uapi.HelloTakeover})
	return *c
}

// readOnly: what is not a hook cannot be changed, by writes or by atomics;
// and hooks by writes alone, for a device in software is not atomic.
func (k *loaded) readOnly(t *testing.T) {
	c := k.dial(t, hello{})
	names := slices.Sorted(maps.Keys(c.table(t)))
	var writable []string
	for _, name := range names {
		r := c.table(t)[name]
		before := c.read(t, r.Addr, r.Key, 8)
		err := c.tryWrite(t, r.Addr, r.Key, before)
		switch {
		case err == nil && r.Perm&uapi.PermWrite != 0:
			writable = append(writable, name)
		case !errors.Is(err, statusAccess) || r.Perm&uapi.PermWrite != 0:
			t.Errorf("write to %s with permission %d: %v", name, r.Perm, err)
		}
		if err != nil {
			r = k.again(t, &c).table(t)[name]
		}
		if _, err := c.operate(t, "add %s %x %x 1", c.n, r.Addr, r.Key); err == nil {
			t.Errorf("fetch and add on %s was done", name)
		}
		k.again(t, &c)
	}
	if d := gocmp.Diff([]string{"kill", "knob", "lock", "owner", "proposal"}, writable); d != "" {
		t.Error(d)
	}
	c.close(t)
	k.healthy(t)
}

// regionChange: a region comes and goes while monitors are connected. Its
// key dies with it; no other key changes, for nobody.
func (k *loaded) regionChange(t *testing.T) {
	k.inject(t)
	a, b := k.dial(t, hello{}), k.dial(t, hello{monitor: 1})
	before := a.table(t)
	generation := a.generation(t)
	k.trigger(t, "region add")
	with := a.table(t)
	lab, ok := with["lab"]
	if !ok || a.generation(t) <= generation {
		t.Fatalf("generation %d, then %d; %v", generation, a.generation(t), slices.Sorted(maps.Keys(with)))
	}
	delete(with, "lab")
	if d := gocmp.Diff(before, with); d != "" {
		t.Errorf("other regions changed: %s", d)
	}
	if got := a.read(t, lab.Addr, lab.Key, 4); !bytes.Equal(got, []byte{0x5a, 0x5a, 0x5a, 0x5a}) {
		t.Errorf("the new region has %x", got)
	}
	k.trigger(t, "region del")
	if d := gocmp.Diff(before, a.table(t)); d != "" {
		t.Errorf("before and after: %s", d)
	}
	if _, err := a.tryRead(t, lab.Addr, lab.Key, 4); !errors.Is(err, statusAccess) {
		t.Errorf("a region that went: %v", err)
	}
	b.read(t, b.grant.RootAddr, b.grant.RootKey, uapi.RootSize)
	a.close(t)
	b.close(t)
	k.healthy(t)
}

func (c *conn) generation(t *testing.T) uint64 {
	t.Helper()
	return binary.LittleEndian.Uint64(c.read(t, c.grant.RootAddr+uapi.RootGenerationOff, c.grant.RootKey, 8))
}
