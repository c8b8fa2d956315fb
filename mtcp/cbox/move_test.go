// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp"
)

// moved takes a session's box to another server: all but the socket, which
// stays the same one. TCP's own part is tcprepair's.
func moved(t testing.TB, c *Conn, p mtcp.Policy) (*Box, *net.TCPConn) {
	t.Helper()
	conn := dup(t, c.tcp)
	return movedBox(t, c.Region(), conn, p), conn
}

func movedBox(t testing.TB, r1 Region, conn *net.TCPConn, p mtcp.Policy) *Box {
	t.Helper()
	s1, err := OpenBox(r1)
	if err != nil {
		t.Fatal(err)
	}
	defer s1.Close()
	if err := s1.Freeze(nil, hang); err != nil {
		t.Fatal(err)
	}
	im, err := ReadImage(uint64(r1.Length), s1.Fetch)
	if err != nil {
		t.Fatal(err)
	}
	read, written, err := s1.Offsets(conn)
	if err != nil {
		t.Fatal(err)
	}
	// The socket is not rewound, so all of it counts as sent and acknowledged.
	cut, err := mtcp.Cut(im.Root(), mtcp.Up{Read: read, Ack: read, Next: read}, mtcp.Down{Una: written, Nxt: written, Written: written, State: mtcp.Established}, mtcp.Client{}, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := im.Fill(s1.Fetch, cut, p); err != nil {
		t.Fatal(err)
	}
	wire, err := im.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseImage(wire, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRegion(got.Size())
	if err != nil {
		t.Fatal(err)
	}
	local, remote := addrPorts(conn)
	s2, err := got.Plant(r, local, remote)
	if err != nil {
		t.Fatal(err)
	}
	if err := s2.Bind(conn, got.LogTo, written); err != nil {
		t.Fatal(err)
	}
	s1.Depart()
	s2.Thaw()
	t.Cleanup(s2.Close)
	return s2
}

func resumed(t testing.TB, b *Box, conn *net.TCPConn) *Conn {
	t.Helper()
	c, err := Resume(b.region, conn, Config{})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(hang))
	t.Cleanup(func() { c.letGo() })
	return c
}

func TestMove(t *testing.T) {
	for _, p := range []mtcp.Policy{mtcp.Whole, mtcp.Minimal} {
		t.Run(p.String(), func(t *testing.T) {
			client, root, child, up, down := pair(t, Config{})
			send(t, client, "request")
			get(t, root, "req")
			if err := root.SetNoDelay(false); err != nil {
				t.Fatal(err)
			}
			export(t, root, "req")
			get(t, root, "uest")
			send(t, down, "query")
			get(t, up, "que")
			send(t, up, "ans")
			export(t, child, "que")
			get(t, down, "ans")
			send(t, root, "reply")
			for generation := uint64(2); generation < 5; generation++ {
				s2, conn := moved(t, root, p)
				if _, err := root.Read(make([]byte, 1)); !errors.Is(err, ErrMigrated) {
					t.Errorf("at the old server: %v", err)
				}
				root = resumed(t, s2, conn)
				if root.Generation() != generation || s2.State() != uapi.CboxLive {
					t.Errorf("generation %d, state %d", root.Generation(), s2.State())
				}
				imported(t, root, "req")
				get(t, root, "uest")
				c, err := root.Associate("back end", 1)
				if err != nil {
					t.Fatal(err)
				}
				down = timed(c.Channels[0])
				send(t, down, "query")
				child, up = opened(t, root.Region(), c.Slot)
				imported(t, child, "que")
				get(t, up, "ry")
				get(t, down, "ans")
				send(t, root, "reply")
			}
			export(t, root, "all")
			send(t, up, "wer")
			get(t, down, "wer")
			send(t, root, "!")
			get(t, client, "reply!")
			nothing(t, client)
		})
	}
}

// Released and unsent output is carried in the box.
func TestMoveHeldOutput(t *testing.T) {
	client, c := accepted(t, Config{})
	if err := c.ExportNDI(nil); err != nil {
		t.Fatal(err)
	}
	send(t, c, "held")
	if err := c.do(func() error { _, err := c.snapshot([]byte("released"), 0, copied); return err }); err != nil {
		t.Fatal(err)
	}
	n := resumed2(t, c)
	imported(t, n, "released")
	get(t, client, "held")
	send(t, n, ".")
	get(t, client, ".")
}

func resumed2(t testing.TB, c *Conn) *Conn {
	s2, conn := moved(t, c, mtcp.Whole)
	return resumed(t, s2, conn)
}

// §2.5.3: any further call returns EMIGRATED, and a blocked one too.
func TestBlockedReadIsWoken(t *testing.T) {
	bell, err := NewBell()
	if err != nil {
		t.Fatal(err)
	}
	defer bell.Close()
	_, c := accepted(t, Config{Bell: bell})
	_, other := accepted(t, Config{Bell: bell})
	_ = c.SetDeadline(time.Time{})
	done := make(chan error, 2)
	go func() {
		_, err := c.Read(make([]byte, 1))
		done <- err
	}()
	go func() {
		var err error
		for err == nil {
			_, err = c.Write(make([]byte, 1<<20))
		}
		done <- err
	}()
	time.Sleep(20 * time.Millisecond)
	moved(t, c, mtcp.Whole)
	if err := RingBell(bell.File); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-done; !errors.Is(err, ErrMigrated) {
			t.Errorf("got %v", err)
		}
	}
	for what, err := range map[string]error{
		"export": c.Export(nil), "deadline": c.SetReadDeadline(time.Time{}), "option": c.SetNoDelay(true), "shutdown": c.CloseWrite(),
	} {
		if what == "deadline" {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		} else if !errors.Is(err, ErrMigrated) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, ErrMigrated) {
		t.Errorf("read: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	send(t, other, "not concerned")
}

// A move that fails is thawed: who waited goes on, and nothing was lost.
func TestThaw(t *testing.T) {
	client, c := accepted(t, Config{})
	b, err := OpenBox(c.Region())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Freeze(nil, hang); err != nil {
		t.Fatal(err)
	}
	if err := b.Freeze(nil, hang); err == nil {
		t.Error("frozen twice")
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	send(t, client, "x")
	if _, err := c.Read(make([]byte, 1)); !isTimeout(err) {
		t.Errorf("a read while frozen: %v", err)
	}
	_ = c.SetDeadline(time.Now().Add(hang))
	done := make(chan error, 1)
	go func() {
		err := c.Export([]byte("late"))
		if err == nil {
			_, err = c.Write([]byte("y"))
		}
		done <- err
	}()
	time.Sleep(5 * time.Millisecond)
	if snap, err := b.Snapshot(0); err != nil || snap != nil {
		t.Errorf("exported while frozen: %v, %v", snap, err)
	}
	b.Thaw()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	get(t, c, "x")
	get(t, client, "y")
}

// A process that was stopped inside an operation would go on writing: nobody
// may take over, unless it is known to be dead.
func TestStoppedInAnOperation(t *testing.T) {
	_, c := accepted(t, Config{})
	b, err := OpenBox(c.Region())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	c.words.busy.Store(1)
	if err := b.Freeze(nil, 10*time.Millisecond); !errors.Is(err, errBusy) {
		t.Errorf("freeze: %v", err)
	}
	if b.State() != uapi.CboxLive {
		t.Errorf("state %d after a freeze that failed", b.State())
	}
	if err := b.Freeze(func(uint32) bool { return true }, 10*time.Millisecond); err != nil {
		t.Errorf("freeze of the dead: %v", err)
	}
	b.Thaw()
}

// Processes that stay inside an operation one after the other, as a hostile service
// would have them, take no more time together than one may: others' sessions are frozen
// meanwhile.
func TestStoppedOneAfterAnother(t *testing.T) {
	_, c := accepted(t, Config{Processes: 4, Channels: 3})
	b := must(OpenBox(c.Region()))
	defer b.Close()
	const most = 100 * time.Millisecond
	for slot := range b.Slots() {
		b.m.word32(b.proc(slot, uapi.CboxProcBusyOff)).Store(1)
	}
	asked := uint32(0)
	err := b.Freeze(func(slot uint32) bool {
		asked = slot
		time.Sleep(most * 6 / 10)
		b.m.word32(b.proc(slot, uapi.CboxProcBusyOff)).Store(0)
		return false
	}, most)
	if !errors.Is(err, errBusy) || asked > 1 {
		t.Errorf("freeze: %v, at slot %d", err, asked)
	}
}

// A process takes a session over while that is about to leave, and stays after all: what
// it found wrong of a socket that was nobody's is not its end.
func TestTakesOverWhatStays(t *testing.T) {
	client, c := accepted(t, Config{})
	b := must(OpenBox(c.Region()))
	defer b.Close()
	read := b.m.word64(uapi.CboxHeadReadOff)
	read.Store(1 << 40) // more than anybody has read
	b.state().Store(uapi.CboxLeaving)
	time.AfterFunc(20*time.Millisecond, func() {
		read.Store(0)
		b.Thaw()
	})
	next, err := Resume(c.Region(), dup(t, c.tcp), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer next.letGo()
	send(t, client, "x")
	get(t, next, "x")
}

// Sizes makes a box like another.
func TestSizesOfABox(t *testing.T) {
	for _, cfg := range []Config{{}, {Snapshot: 100, Log: 1000, Hold: 70000, Ring: 3000, Processes: 5, Channels: 4}, {Processes: 2, Channels: 1}, {Snapshot: 9000}} {
		_, c := accepted(t, cfg)
		b := must(OpenBox(c.Region()))
		_, d := accepted(t, b.Sizes())
		if diff := cmp.Diff(sized(c), sized(d)); diff != "" {
			t.Errorf("%+v, made again by %+v:\n%s", cfg, b.Sizes(), diff)
		}
		b.Close()
	}
}

// sized is how a box is laid out.
func sized(c *Conn) (all []uint64) {
	h := c.head
	all = append(all, h.Len, h.Log.Off, h.Log.Len, h.Hold.Off, h.Hold.Len)
	for _, p := range h.ProcTable {
		all = append(all, p.SnapOff, uint64(p.SnapLen))
	}
	for _, ch := range h.ChanTable {
		all = append(all, ch.Ring.Off, ch.Ring.Len)
	}
	return all
}

// inside reports whether a mover finds somebody in an operation.
func inside(t *testing.T, b *Box) bool {
	t.Helper()
	err := b.Freeze(nil, 10*time.Millisecond)
	if err == nil {
		b.Thaw()
	} else if !errors.Is(err, errBusy) {
		t.Fatal(err)
	}
	return err != nil
}

// Two living processes fight for a slot: the one that lost it, and comes back
// from between two of its instructions, does not unmark the other.
func TestMarksOfTwoLivingProcesses(t *testing.T) {
	_, c := accepted(t, Config{})
	b := must(OpenBox(c.Region()))
	defer b.Close()
	seen := c.words.busy.Load() // it is about to enter, and sleeps
	d := must(Resume(c.Region(), dup(t, c.tcp), Config{}))
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.enter(); err != nil {
		t.Fatal(err)
	}
	if c.words.mark(seen, c.owner) {
		t.Error("it has marked the slot over the mark of its owner")
	}
	c.words.unmark(c.owner)
	if err := c.enter(); !errors.Is(err, ErrMigrated) {
		t.Errorf("it enters: %v", err)
	}
	if !inside(t, b) {
		t.Error("the owner is inside, and seems to be outside")
	}
	d.leave()
	seen = 0
	if !c.words.mark(seen, c.owner) || !inside(t, b) {
		t.Error("it may mark what is free, for as long as it takes to look again")
	}
	if err := d.enter(); err != nil { // it was killed there
		t.Fatal(err)
	}
	d.leave()
	if inside(t, b) {
		t.Error("a mark that nobody will take away has stayed")
	}
}

// And of two that take it over at the same time, the pid of the later one stays.
func TestPidsOfTwoLivingProcesses(t *testing.T) {
	_, c := accepted(t, Config{})
	pid := c.m.word64(c.procOff(uapi.CboxProcPIDOff))
	pid.Store(4711)
	c.words.owned.Add(1)
	if c.signs(pid) || pid.Load() != 4711 {
		t.Errorf("it has signed for another: %d", pid.Load())
	}
}

// A box that lies about what has been read is not believed.
func TestResumeChecksTheKernel(t *testing.T) {
	_, c := accepted(t, Config{})
	c.m.put64(uapi.CboxHeadReadOff, 5)
	var bad *DamagedError
	if _, err := Resume(c.Region(), dup(t, c.tcp), Config{}); !errors.As(err, &bad) {
		t.Errorf("got %v", err)
	}
}

// deeds is a keeper that notes what it is told has ended.
type deeds []uint64

func (d *deeds) Keep(ID, Region, *net.TCPConn) error { return nil }
func (d *deeds) Done(_ ID, generation uint64)        { *d = append(*d, generation) }

// A session that leaves while its process is about to close it is not done here.
func TestNotDoneIfItHasLeft(t *testing.T) {
	for _, leaves := range []bool{true, false} {
		var done deeds
		_, c := accepted(t, Config{Keeper: &done})
		b := must(OpenBox(keptRegion(t, c)))
		defer b.Close()
		if leaves {
			if err := b.Freeze(nil, hang); err != nil {
				t.Fatal(err)
			}
			b.Depart()
		}
		c.end()
		if want := map[bool]deeds{false: {1}}[leaves]; !slices.Equal(done, want) {
			t.Errorf("leaves: %v: done %v", leaves, done)
		}
	}
}
