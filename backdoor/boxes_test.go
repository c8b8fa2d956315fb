// SPDX-License-Identifier: Apache-2.0

package backdoor_test

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
)

// end is one of a connection, as the kernel writes it.
func end(a string) uapi.BoxEnd {
	ap := netip.MustParseAddrPort(a)
	e := uapi.BoxEnd{Family: 2, Port: ap.Port()}
	if ap.Addr().Is6() {
		e.Family = 10
	}
	copy(e.Addr[:], ap.Addr().AsSlice())
	return e
}

func bound(generation uint64, first, pages uint32, sock uint64) uapi.Box {
	return uapi.Box{State: uapi.BoxBound, UID: 33, Generation: generation, First: first, Pages: pages, Sock: sock,
		Local: end("10.1.2.3:80"), Remote: end("10.9.8.7:4321"), RcvFirst: 7, SndFirst: 9, Procs: [8]uint32{12, 0, 14}}
}

func TestBoxes(t *testing.T) {
	target := bdtest.New(bdtest.WithBoxes(8, 32))
	sock, page := target.Alloc(64), target.Alloc(3*4096)&^4095+4096
	six := bound(2, 4, 2, sock+8)
	six.Local, six.Remote, six.More = end("[fe80::1]:80"), end("[fe80::2]:99"), 3
	six.Local.Scope = 5
	target.SetBox(0, bound(1, 0, 3, sock), page, 0, page+4096)
	target.SetBox(3, six, 0, 0)
	target.SetBox(7, uapi.Box{State: uapi.BoxNew, Generation: 3, First: 31, Pages: 1})
	bt := open(t, target)
	before := bt.Stats().Batches
	got, err := bt.Boxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := bt.Stats().Batches - before; n != 1 {
		t.Errorf("%d batches", n)
	}
	want := []backdoor.Box{
		{Entry: 0, State: uapi.BoxBound, UID: 33, Generation: 1, Pages: []uint64{page, 0, page + 4096}, Sock: sock,
			Local: netip.MustParseAddrPort("10.1.2.3:80"), Remote: netip.MustParseAddrPort("10.9.8.7:4321"), RcvFirst: 7, SndFirst: 9, Procs: []uint32{12, 14}},
		{Entry: 3, State: uapi.BoxBound, UID: 33, Generation: 2, Pages: []uint64{0, 0}, Sock: sock + 8,
			Local: netip.MustParseAddrPort("[fe80::1%5]:80"), Remote: netip.MustParseAddrPort("[fe80::2]:99"), RcvFirst: 7, SndFirst: 9, Procs: []uint32{12, 14}, More: true},
		{Entry: 7, State: uapi.BoxNew, Generation: 3, Pages: []uint64{0}},
	}
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); d != "" {
		t.Errorf("want (-), got (+)\n%s", d)
	}
}

func TestReadBox(t *testing.T) {
	target := bdtest.New(bdtest.WithBoxes(8, 32))
	page := target.Alloc(3*4096)&^4095 + 4096
	target.Poke64(page+4088, 0x1111111111111111)
	target.Poke64(page+4096, 0x2222222222222222)
	target.SetBox(0, bound(1, 0, 3, 64), page, 0, page+4096)
	bt := open(t, target)
	boxes, err := bt.Boxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	box, buf := &boxes[0], bytes.Repeat([]byte{0xee}, 8+4096+4)
	reads, err := box.Reads(4088, buf)
	if err != nil || len(reads) != 2 {
		t.Fatalf("%d reads, %v", len(reads), err)
	}
	if err := bt.ReadVA(t.Context(), reads); err != nil {
		t.Fatal(err)
	}
	want := append(bytes.Repeat([]byte{0x11}, 8), append(make([]byte, 4096), 0x22, 0x22, 0x22, 0x22)...)
	if !bytes.Equal(buf, want) {
		t.Errorf("got %x", buf)
	}
	for _, off := range []uint64{12288 - 3, 1 << 63, ^uint64(0)} {
		if _, err := box.Reads(off, make([]byte, 4)); err == nil {
			t.Errorf("4 bytes at %#x of 3 pages are no error", off)
		}
	}
}

// One damaged entry takes no other with it, and says why it is none.
func TestDamagedBoxes(t *testing.T) {
	for name, harm := range map[string]func(*uapi.Box){
		"state":            func(e *uapi.Box) { e.State = 9 },
		"no pages":         func(e *uapi.Box) { e.Pages = 0 },
		"behind the arena": func(e *uapi.Box) { e.First, e.Pages = 31, 2 },
		"wraps around":     func(e *uapi.Box) { e.First, e.Pages = 0xffffffff, 2 },
		"another's pages":  func(e *uapi.Box) { e.First = 0 },
		"no socket":        func(e *uapi.Box) { e.Sock = 0 },
		"another's socket": func(e *uapi.Box) { e.Sock = 64 },
		"crooked socket":   func(e *uapi.Box) { e.Sock = 71 },
		"family":           func(e *uapi.Box) { e.Local.Family = 1 },
		"mapped IPv4": func(e *uapi.Box) {
			e.Local.Family = 10
			copy(e.Local.Addr[:], netip.MustParseAddr("::ffff:1.2.3.4").AsSlice())
		},
		"no address":        func(e *uapi.Box) { e.Remote.Addr = [16]byte{} },
		"no port":           func(e *uapi.Box) { e.Remote.Port = 0 },
		"page out of place": func(e *uapi.Box) { e.First = 8 },
	} {
		t.Run(name, func(t *testing.T) {
			target := bdtest.New(bdtest.WithBoxes(8, 32))
			target.SetBox(0, bound(9, 0, 3, 64))
			target.SetBox(2, bound(1, 8, 1, 64), 4095)
			bad := bound(5, 4, 2, 128)
			harm(&bad)
			target.SetBox(1, bad)
			got, err := open(t, target).Boxes(t.Context())
			if err != nil || len(got) != 3 {
				t.Fatalf("%d boxes, %v", len(got), err)
			}
			var damage *backdoor.CorruptError
			if got[0].Err != nil || !errors.As(got[1].Err, &damage) || got[2].Err == nil {
				t.Errorf("errors %v; %v; %v", got[0].Err, got[1].Err, got[2].Err)
			}
		})
	}
}

func TestNoBoxes(t *testing.T) {
	if _, err := open(t, bdtest.New()).Boxes(t.Context()); !errors.Is(err, backdoor.ErrNoRegion) {
		t.Errorf("error %v", err)
	}
}
