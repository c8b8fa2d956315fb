// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
)

// TestContinuationBoxes: boxes of kmod/test/box.c, in one load.
func TestContinuationBoxes(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel, "user_boxes_mib=8")
		program := guestProgram(t, k.vm, "box")
		k.each(t, []step{
			{"checks", func(k *loaded, t *testing.T) { k.boxChecks(t, program) }},
			{"dead", func(k *loaded, t *testing.T) { k.boxesOfTheDead(t, program) }},
		})
	})
}

// boxChecks: what must be refused, and what a server's processes rely on: futexes,
// fork, memory that stays.
func (k *loaded) boxChecks(t *testing.T, program string) {
	res, err := k.vm.Run(t.Context(), program, "checks")
	if err != nil {
		t.Fatal(err)
	}
	if res.Exit != 0 || strings.Contains(res.Stdout, "WRONG") || strings.Count(res.Stdout, "ok ") < 35 {
		t.Errorf("exit %d\n%s%s", res.Exit, res.Stdout, res.Stderr)
	}
	k.noBoxes(t)
}

// noBoxes: nothing is left of what there was, also of its pages.
func (k *loaded) noBoxes(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		boxes, err := k.target.Boxes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, raw := k.region(t, uapi.KindBoxes)
		var h uapi.Boxes
		if err := h.Decode(raw); err != nil {
			t.Fatal(err)
		}
		if len(boxes) == 0 && h.Boxes == 0 && h.Touched == 0 && len(bytes.Trim(raw[h.MapOff:], "\x00")) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("a minute, and %d boxes are left, %+v", len(boxes), h)
		}
	}
}

// heldBox is what box.c says of one.
type heldBox struct {
	local, remote uint16
	text          string
}

func (k *loaded) holdBoxes(t *testing.T, program string, n int) (pid int, held []heldBox) {
	t.Helper()
	const out = "/tmp/boxes"
	pid = k.start(t, lab.Proc{Argv: []string{"/bin/busybox", "sh", "-c", fmt.Sprintf("exec %s hold %d >%s", program, n, out)}})
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		b, err := k.vm.ReadFile(t.Context(), out)
		if err == nil && strings.HasSuffix(string(b), "ready\n") {
			return pid, parseHeld(t, b)
		}
		if time.Now().After(end) {
			t.Fatalf("a minute, and box.c has said %q (%v)", b, err)
		}
	}
}

func parseHeld(t *testing.T, b []byte) (held []heldBox) {
	t.Helper()
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan() && s.Text() != "ready"; {
		var h heldBox
		ports, text, _ := strings.Cut(s.Text(), " text ")
		if _, err := fmt.Sscanf(ports, "ports %d %d", &h.local, &h.remote); err != nil {
			t.Fatalf("%q: %v", s.Text(), err)
		}
		h.text = text
		held = append(held, h)
	}
	return held
}

// boxesOfTheDead reads them when no CPU runs, and sees them go with their
// processes.
func (k *loaded) boxesOfTheDead(t *testing.T, program string) {
	pid, held := k.holdBoxes(t, program, 5)
	child := k.childOf(t, pid)
	if err := k.vm.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	sockets := k.readBoxes(t, held, []uint32{uint32(pid), uint32(child)})
	if err := k.vm.Cont(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := k.vm.Rmmod(t.Context(), "backdoor"); err == nil {
		t.Fatal("the module was unloaded under its boxes")
	}
	if err := k.vm.Kill(t.Context(), pid, 9); err != nil {
		t.Fatal(err)
	}
	k.oneIsLeft(t, child)
	if err := k.vm.Kill(t.Context(), child, 9); err != nil {
		t.Fatal(err)
	}
	k.noBoxes(t)
	k.given(t, sockets)
}

// oneIsLeft: fork shares all boxes, and a process that is killed takes none with it.
func (k *loaded) oneIsLeft(t *testing.T, child int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		boxes, err := k.target.Boxes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		first := slices.IndexFunc(boxes, func(b backdoor.Box) bool { return slices.Equal(b.Procs, []uint32{uint32(child)}) })
		if len(boxes) == 5 && first >= 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the parent is dead, the boxes are %+v", boxes)
		}
	}
}

// readBoxes compares the directory, the boxes and the sockets with what the
// process said of them.
func (k *loaded) readBoxes(t *testing.T, held []heldBox, procs []uint32) (sockets []uint64) {
	t.Helper()
	boxes, err := k.target.Boxes(t.Context())
	if err != nil || len(boxes) != len(held) {
		t.Fatalf("%d boxes, made %d: %v", len(boxes), len(held), err)
	}
	loopback := netip.MustParseAddr("127.0.0.1")
	for i := range boxes {
		b, h := &boxes[i], held[i]
		if b.Err != nil || b.State != uapi.BoxBound || b.Len() != 12*4096 || b.More ||
			b.Local != netip.AddrPortFrom(loopback, h.local) || b.Remote != netip.AddrPortFrom(loopback, h.remote) {
			t.Errorf("box %+v of %+v", b, h)
			continue
		}
		if i == 0 && !slices.Equal(b.Procs, procs) || i > 0 && b.Procs[0] != procs[0] {
			t.Errorf("box %d is mapped by %v, want %v", i, b.Procs, procs)
		}
		k.readBox(t, b, h)
		sockets = append(sockets, b.Sock)
	}
	return sockets
}

func (k *loaded) readBox(t *testing.T, b *backdoor.Box, h heldBox) {
	t.Helper()
	all := make([]byte, b.Len())
	reads, err := b.Reads(0, all)
	if err != nil {
		t.Fatal(err)
	}
	word := func(member string, base uint64) *backdoor.VARead {
		m, ok := k.target.Manifest().Offset(member)
		if !ok {
			t.Fatalf("no %s in the manifest", member)
		}
		reads = append(reads, backdoor.VARead{VA: base + uint64(m.Off), Buf: make([]byte, max(m.Size, 1))})
		return &reads[len(reads)-1]
	}
	touched := len(reads)
	word("sock.sk_num", b.Sock)
	word("tcp_sock.rcv_nxt", b.Sock)
	word("tcp_sock.snd_una", b.Sock)
	if err := k.target.ReadVA(t.Context(), reads); err != nil {
		t.Fatal(err)
	}
	if touched > 3 { // the rest was never touched
		t.Errorf("%d pages had to be read", touched)
	}
	if got := uapi.CString(all); got != h.text || uapi.CString(all[11*4096:]) != "the end" {
		t.Errorf("box holds %q and %q, want %q", got, uapi.CString(all[11*4096:]), h.text)
	}
	socket := reads[touched:]
	if n := binary.LittleEndian.Uint16(socket[0].Buf); n != h.local {
		t.Errorf("the socket at %#x has port %d, want %d", b.Sock, n, h.local)
	}
	// no byte was sent or received, so the counts are 0
	if rcv, snd := binary.LittleEndian.Uint32(socket[1].Buf), binary.LittleEndian.Uint32(socket[2].Buf); rcv != uint32(b.RcvFirst) || snd != uint32(b.SndFirst) {
		t.Errorf("rcv_nxt %#x, snd_una %#x, in the directory %#x, %#x", rcv, snd, b.RcvFirst, b.SndFirst)
	}
}

// given: the references that were the module's are given back, and with them the
// sockets, in whose place nothing is yet.
func (k *loaded) given(t *testing.T, sockets []uint64) {
	t.Helper()
	count, ok := k.target.Manifest().Offset("sock.sk_refcnt")
	if !ok {
		t.Fatal("no sock.sk_refcnt in the manifest")
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		held := 0
		for _, at := range sockets {
			r := backdoor.VARead{VA: at + uint64(count.Off), Buf: make([]byte, 4)}
			if err := k.target.ReadVA(t.Context(), []backdoor.VARead{r}); err != nil {
				t.Fatal(err)
			}
			held += int(binary.LittleEndian.Uint32(r.Buf))
		}
		if held == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d references to %d sockets are left", held, len(sockets))
		}
	}
}

// TestNoBoxes: a module that was told to have none.
func TestNoBoxes(t *testing.T) {
	k := load(t, "6.12", "boxes_mib=0")
	if _, err := k.target.Boxes(t.Context()); !errors.Is(err, backdoor.ErrNoRegion) {
		t.Errorf("error %v", err)
	}
}
