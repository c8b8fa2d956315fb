// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"lazystate/internal/seqnum"
	"lazystate/mtcp/wire"
)

// checksumComplete has the kernel keep a sum over the packet as a device would,
// and check after the program that it is still right (from 6.16 on).
const checksumComplete = 1 << 2

// kernel is the programs, attached to nothing.
type kernel struct {
	*loader
	progs  map[string]*ebpf.Program
	events *source
	flags  uint32
}

func newKernel(t testing.TB, programs ...string) *kernel {
	t.Helper()
	usable(t)
	l, err := newLoader("", nil, programs...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.load(ethLen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	s, err := newSource(l.maps[bpfMapEvents])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.close() })
	return &kernel{loader: l, progs: c.Programs, events: s}
}

type failer interface {
	Fatalf(string, ...any)
}

// run puts a packet through a program.
func (k *kernel) run(t failer, program string, packet []byte) (uint32, []byte) {
	frame := append(make([]byte, 12, 14+len(packet)), 8, 0)
	if packet[0]>>4 == 6 {
		frame[12], frame[13] = 0x86, 0xdd
	}
	frame = append(frame, packet...)
	opts := &ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+64), Flags: k.flags}
	ret, err := k.progs[program].Run(opts)
	if err != nil {
		t.Fatalf("run %s: %v", program, err)
	}
	return ret, opts.DataOut[ethLen:]
}

// heard is what the programs have told since last asked.
func (k *kernel) heard(t failer) []Event {
	var all []Event
	for {
		k.events.SetDeadline(time.Now().Add(-time.Second))
		e, err := k.events.Next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return all
		} else if err != nil {
			t.Fatalf("event: %v", err)
		}
		all = append(all, e)
	}
}

// drawNumber draws one near another, often where the programs decide.
func drawNumber(t *rapid.T, near uint32, name string) uint32 {
	edges := []int32{0, 1, -1, 1 << 20, 1<<20 + 1, 600000, -1 << 16, -1<<16 - 1, 9, -9, -1 << 31, 1<<31 - 1}
	if rapid.Bool().Draw(t, name+" at an edge") {
		return near + uint32(rapid.SampledFrom(edges).Draw(t, name))
	}
	return near + uint32(rapid.Int32Range(-1<<21, 1<<21).Draw(t, name))
}

var standardOptions = [][]byte{
	{}, {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2},
	{1, 1, 5, 10, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 9},
	{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1, 5, 26, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6},
	{5, 34, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0, 8, 1, 1},
	{2, 4, 5, 0xb4, 3, 3, 7, 5, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1, 1}, // at an odd place
	{253, 9, 'M', 'T', 0x14, 0, 0, 0, 1, 1, 1, 1},
	{253, 9, 'M', 'S', 0x14, 0, 0, 0, 1, 1, 1, 1},
	{5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, {8, 40, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0}, {0, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	{1, 1, 1, 5, 3, 7, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 5},
}

// world is a session and the segments around it.
type world struct {
	app, cur, next, old, none Flow
	session                   bpfSession
}

func drawWorld(t *rapid.T) world {
	addr := func(last byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 9, 0, last}) }
	if rapid.Bool().Draw(t, "v6") {
		addr = func(last byte) netip.Addr { return netip.AddrFrom16([16]byte{0xfd, 9, 0, 1, 2, 3, 15: last}) }
	}
	client := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(addr(1), port) }
	server := func(n byte, port uint16) netip.AddrPort { return netip.AddrPortFrom(addr(n), port) }
	w := world{
		app: Flow{client(40000), server(2, 80)}, cur: Flow{client(40001), server(3, 8080)},
		next: Flow{client(40002), server(4, 80)}, old: Flow{client(40003), server(5, 80)}, none: Flow{client(9), server(9, 9)},
	}
	if rapid.Bool().Draw(t, "at home") {
		w.cur = w.app
	}
	s := bpfSession{Wire: w.cur.bpf(), Asked: w.next.bpf(), Hop: 3, State: uint32(rapid.SampledFrom([]State{Migrating, Switched, Moved}).Draw(t, "state"))}
	if State(s.State) == Migrating {
		s.Next = 4
		s.Deadline = rapid.SampledFrom([]uint64{0, 1, ^uint64(0)}).Draw(t, "deadline")
	}
	s.Flags = rapid.Uint32Range(0, 7).Draw(t, "flags")
	s.Frozen, s.Sent = rapid.Uint32().Draw(t, "frozen"), rapid.Uint32().Draw(t, "sent")
	if rapid.Bool().Draw(t, "shifted") {
		s.Up, s.Down = rapid.Uint32().Draw(t, "up"), rapid.Uint32().Draw(t, "down")
	}
	w.session = s
	return w
}

// paperWorld is a session at its second server.
func paperWorld() world {
	at := netip.MustParseAddrPort
	w := world{
		app: Flow{at("10.9.0.1:40000"), at("10.9.0.2:80")}, cur: Flow{at("10.9.0.1:40001"), at("10.9.0.3:8080")},
		next: Flow{at("10.9.0.1:40002"), at("10.9.0.4:80")}, old: Flow{at("10.9.0.1:40003"), at("10.9.0.5:80")},
	}
	w.session = bpfSession{Wire: w.cur.bpf(), Asked: w.next.bpf(), Hop: 3, State: uint32(Moved)}
	return w
}

func drawAround(t *rapid.T, w world, in bool) wire.Segment {
	s := wire.Segment{
		Flags:   wire.Flags(rapid.Uint8().Draw(t, "flags of TCP")),
		Window:  rapid.Uint16().Draw(t, "window"),
		Options: rapid.SampledFrom(standardOptions).Draw(t, "options"),
		Payload: rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "payload"),
	}
	if in {
		f := rapid.SampledFrom([]Flow{w.cur, w.next, w.old, w.none}).Draw(t, "from")
		s.Src, s.Dst = f.Remote, f.Local
		if rapid.Bool().Draw(t, "an ordinary one") {
			s.Flags = wire.ACK
		}
		s.Seq = seqnum.Value(drawNumber(t, w.session.Sent+w.session.Down, "seq"))
		s.Ack = seqnum.Value(drawNumber(t, w.session.Frozen+w.session.Up, "ack"))
		return s
	}
	f := rapid.SampledFrom([]Flow{w.app, w.app, w.none}).Draw(t, "of")
	s.Src, s.Dst = f.Local, f.Remote
	s.Seq = seqnum.Value(drawNumber(t, w.session.Frozen, "seq"))
	s.Ack = seqnum.Value(drawNumber(t, w.session.Sent, "ack"))
	return s
}

// install makes a world in the kernel and in the model.
func (k *kernel) install(t failer, w world) *model {
	e := w.session
	m := &model{map[Flow]*bpfSession{w.app: &e}, map[Flow]bpfWire{}, nil}
	m.wires[w.next], m.wires[w.old] = bpfWire{App: w.app.bpf(), Hop: 4}, bpfWire{App: w.app.bpf(), Hop: 2}
	m.wires[w.cur] = bpfWire{App: w.app.bpf(), Hop: 3}
	for _, f := range []Flow{w.app, w.cur, w.next, w.old} {
		err := errors.Join(remove(k.maps[bpfMapSessions], f), remove(k.maps[bpfMapWires], f))
		if hop, ok := m.wires[f]; ok && err == nil {
			err = k.maps[bpfMapWires].Put(f.bpf(), hop)
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
	}
	if err := k.maps[bpfMapSessions].Put(w.app.bpf(), e); err != nil {
		t.Fatalf("%v", err)
	}
	return m
}

// Any segment, in any state, becomes what the model says, byte for byte, with
// its checksums.
func TestProgramsAreTheModel(t *testing.T) {
	k := newKernel(t, bpfProgSteerIn, bpfProgSteerOut)
	for _, sum := range []uint32{0, checksumComplete} {
		t.Run(fmt.Sprintf("flags %d", sum), func(t *testing.T) {
			if k.flags = sum; sum != 0 && !k.takes(t, bpfProgSteerIn, sum) {
				t.Skip("this kernel does not keep a device's sum in test runs (since 6.16)")
			}
			for range rounds(30) {
				rapid.Check(t, func(t *rapid.T) { k.check(t) })
			}
		})
	}
}

// takes reports whether the kernel knows a flag of test runs.
func (k *kernel) takes(t *testing.T, program string, flag uint32) bool {
	t.Helper()
	_, err := k.progs[program].Run(&ebpf.RunOptions{Data: make([]byte, 64), Flags: flag})
	if err != nil && !errors.Is(err, unix.EINVAL) {
		t.Fatal(err)
	}
	return err == nil
}

func (k *kernel) check(t *rapid.T) {
	w := drawWorld(t)
	m := k.install(t, w)
	k.heard(t)
	for range rapid.IntRange(1, 5).Draw(t, "segments") {
		in := rapid.Bool().Draw(t, "in")
		s := drawAround(t, w, in)
		program, step := bpfProgSteerOut, m.out
		if in {
			program, step = bpfProgSteerIn, m.in
		}
		p := packet(t, s)
		verdict, want := step(s)
		got, out := k.run(t, program, p)
		if got != verdict {
			t.Fatalf("%s of %+v is %d, the model says %d; session %+v", program, s, got, verdict, m.sessions[w.app])
		}
		if verdict != verdictShot && !bytes.Equal(out, packet(t, want)) {
			t.Fatalf("%s of\n%x is\n%x, the model says\n%x", program, p, out, packet(t, want))
		}
		k.compare(t, m, w)
	}
}

// compare looks at what the programs remember and tell.
func (k *kernel) compare(t *rapid.T, m *model, w world) {
	var told []Told
	for _, e := range k.heard(t) {
		told = append(told, e.Told)
	}
	if d := cmp.Diff(m.told, told); d != "" {
		t.Fatalf("told: %s", d)
	}
	m.told = nil
	var s bpfSession
	if err := k.maps[bpfMapSessions].Lookup(w.app.bpf(), &s); err != nil {
		t.Fatal(err)
	}
	if e := m.sessions[w.app]; s.State != e.State || s.Sent != e.Sent || s.Frozen != e.Frozen || s.Hop != e.Hop {
		t.Fatalf("session is %+v, the model has %+v", s, *e)
	}
}
