// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
)

// pair is a root and one process below it, which a test plays both.
func pair(t testing.TB, cfg Config) (client *net.TCPConn, root *Conn, child *Session, up, down *Channel) {
	t.Helper()
	cfg.Processes, cfg.Channels = max(cfg.Processes, 2), max(cfg.Channels, 1)
	client, root = accepted(t, cfg)
	c, err := root.Associate("back end", 1)
	if err != nil {
		t.Fatal(err)
	}
	child, up = opened(t, root.Region(), c.Slot)
	return client, root, child, up, timed(c.Channels[0])
}

// opened is what the process does that has been associated, or takes over.
func opened(t testing.TB, r Region, slot uint32) (*Session, *Channel) {
	t.Helper()
	s, err := Open(Region{newFile(must(dupFile(r))), r.Offset, r.Length}, slot, Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, timed(s.Channels()[0])
}

func dupFile(r Region) (int, error) { return unix.FcntlInt(r.File.Fd(), unix.F_DUPFD_CLOEXEC, 0) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func timed(c *Channel) *Channel {
	_ = c.SetDeadline(time.Now().Add(hang))
	return c
}

func TestChannel(t *testing.T) {
	_, _, child, up, down := pair(t, Config{})
	send(t, down, "request")
	get(t, up, "request")
	send(t, up, "reply")
	get(t, down, "reply")
	if down.RemoteAddr().String() != up.LocalAddr().String() || down.LocalAddr().Network() != "cbox" {
		t.Errorf("%v to %v", down.LocalAddr(), down.RemoteAddr())
	}
	go func() {
		time.Sleep(5 * time.Millisecond)
		send(t, down, "late")
	}()
	get(t, up, "late")
	_ = up.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := up.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	if err := down.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	_ = up.SetReadDeadline(time.Now().Add(hang))
	atEnd(t, up)
	if _, err := down.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("write behind the end: %v", err)
	}
	if err := down.CloseRead(); err != nil {
		t.Fatal(err)
	}
	if _, err := up.Write([]byte("x")); !errors.Is(err, unix.EPIPE) {
		t.Errorf("write to one who reads no more: %v", err)
	}
	if err := child.Close(); err != nil {
		t.Fatal(err)
	}
}

// More than the ring holds: the writer waits for the reader's exports.
func TestChannelFlow(t *testing.T) {
	_, _, child, up, down := pair(t, Config{Ring: 1024})
	all := pattern(0, 100000)
	go func() {
		_, err := down.Write(all)
		if err != nil {
			t.Errorf("write: %v", err)
		}
		_ = down.CloseWrite()
	}()
	var got []byte
	b := make([]byte, 300)
	for {
		n, err := up.Read(b)
		got = append(got, b[:n]...)
		switch {
		case errors.Is(err, ErrLogFull):
			export(t, child, "")
			continue
		case err == io.EOF:
			same(t, got, all)
			return
		case err != nil:
			t.Fatal(err)
		}
	}
}

// §2.4.4 in shared memory: the reader dies, the writer dies, nobody else notices.
func TestOneProcessDies(t *testing.T) {
	_, root, child, up, down := pair(t, Config{})
	send(t, down, "onetwothree")
	get(t, up, "one")
	send(t, up, "1")
	export(t, child, "one")
	get(t, up, "two")
	send(t, up, "2")

	again, up2 := opened(t, root.Region(), child.slot)
	imported(t, again, "one")
	get(t, up2, "two")
	send(t, up2, "2") // swallowed
	get(t, up2, "three")
	send(t, up2, "3")
	get(t, down, "123")
	if _, err := up.Read(make([]byte, 1)); !errors.Is(err, ErrMigrated) {
		t.Errorf("the dead one reads: %v", err)
	}

	export(t, root, "front")
	send(t, down, "four")
	n := againWith(t, root)
	imported(t, n, "front")
	c, err := n.Associate("back end", 1)
	if err != nil {
		t.Fatal(err)
	}
	down2 := timed(c.Channels[0])
	send(t, down2, "fourfive")
	get(t, up2, "fourfive")
}

func againWith(t testing.TB, c *Conn) *Conn { return again(t, c, Config{}) }

// Output of a nondeterministic interval stays in the ring, unseen.
func TestChannelHoldsOutput(t *testing.T) {
	_, root, child, up, down := pair(t, Config{Ring: 64})
	if err := child.ExportNDI(nil); err != nil {
		t.Fatal(err)
	}
	send(t, up, "17")
	_ = up.CloseWrite()
	unseen := func() {
		_ = down.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if n, err := down.Read(make([]byte, 9)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the other side saw %d bytes, %v", n, err)
		}
		_ = down.SetReadDeadline(time.Now().Add(hang))
	}
	unseen()
	child, up = opened(t, root.Region(), child.slot)
	send(t, up, "4")
	unseen()
	if n, err := up.Write(make([]byte, 64)); n != 63 || !errors.Is(err, ErrLogFull) {
		t.Errorf("more than the ring takes: %d, %v", n, err)
	}
	_ = up.CloseWrite()
	export(t, child, "drew")
	get(t, down, "4"+string(make([]byte, 63)))
	atEnd(t, down)
}

// Each waits for room in the other's log: both are told to export.
func TestFullLogsDoNotDeadlock(t *testing.T) {
	_, root, child, up, down := pair(t, Config{Ring: 64})
	side := func(s interface{ Export([]byte) error }, c *Channel, done chan error) {
		b := make([]byte, 64)
		for range 500 {
			for sent := 0; sent < 48; {
				n, err := c.Write(b[:48-sent])
				if sent += n; errors.Is(err, ErrLogFull) {
					err = s.Export(nil)
				}
				if err != nil {
					done <- err
					return
				}
			}
			for got := 0; got < 48; {
				n, err := c.Read(b[:48-got])
				if got += n; errors.Is(err, ErrLogFull) {
					err = s.Export(nil)
				}
				if err != nil {
					done <- err
					return
				}
			}
		}
		done <- nil
	}
	done := make(chan error, 2)
	go side(root, down, done)
	go side(child, up, done)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// A process that was associated may associate others: any tree (§2.4.2).
func TestServiceTree(t *testing.T) {
	_, root := accepted(t, Config{Processes: 5, Channels: 5})
	a, err := root.Associate("a", 1)
	if err != nil {
		t.Fatal(err)
	}
	b := must(root.Associate("b", 2))
	sa, _ := opened(t, root.Region(), a.Slot)
	c := must(sa.Associate("c", 1))
	d := must(sa.Associate("b", 1)) // its own "b"
	if d.Slot == b.Slot || len(b.Channels) != 2 {
		t.Errorf("two processes share slot %d", d.Slot)
	}
	h, err := readHead(root.m)
	if err != nil {
		t.Fatal(err)
	}
	want := []uint32{0, a.Slot, c.Slot, d.Slot, b.Slot}
	if got := h.Order(); len(got) != 5 || [5]uint32(got) != [5]uint32(want) {
		t.Errorf("order %v, want %v", got, want)
	}
	if again, err := root.Associate("b", 2); err != nil || again.Slot != b.Slot {
		t.Errorf("associated again: %+v, %v", again, err)
	}
	if _, err := root.Associate("b", 1); err == nil {
		t.Error("the same child with fewer channels")
	}
	var size *SizeError
	if _, err := root.Associate("e", 0); !errors.As(err, &size) {
		t.Errorf("a sixth process: %v", err)
	}
	if _, err := root.Associate("", 0); !errors.As(err, &size) {
		t.Errorf("no name: %v", err)
	}
	for i, s := range []interface{ Export([]byte) error }{sa, root, sa} {
		export(t, s, "x")
		h, err := readHead(root.m)
		if err != nil || h.Exports != uint64(i+1) {
			t.Errorf("%d exports in all, %v", h.Exports, err)
		}
	}
}

// A slot or a ring that its maker claimed and did not live to open is free
// again when the maker's slot is taken over, and no damage before.
func TestClaimsOfTheDead(t *testing.T) {
	_, root := accepted(t, Config{Processes: 2, Channels: 1})
	root.m.word32(root.procOff(uapi.CboxProcStateOff + uapi.CboxProcSize)).Store(uapi.CboxClaimed)
	root.m.word32(uint64(root.head.Chans.Off) + uapi.CboxChanStateOff).Store(uapi.CboxClaimed)
	if _, err := readHead(root.m); err != nil {
		t.Fatal(err)
	}
	n := againWith(t, root)
	if _, err := n.Associate("child", 1); err != nil {
		t.Error(err)
	}
}

// A box is read while its processes associate others and move on in channels.
func TestHeadOfALiveBox(t *testing.T) {
	_, root := accepted(t, Config{Processes: 2, Channels: uapi.CboxChansMax / 2})
	child := must(root.Associate("child", 0))
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { busy(root, child.Slot, done) })
	defer wg.Wait()
	defer close(done)
	for i := range 5_000 {
		if _, err := readHead(root.m); err != nil {
			t.Fatalf("read %d: %v", i, err)
		}
	}
}

// busy has a slot taken again and again, and then a channel to it opened, passed
// on and exported in, in the order in which processes store that. It is the last
// channel, which is read long after the slot.
func busy(root *Conn, slot uint32, done <-chan struct{}) {
	ch := uint64(root.head.Chans.Off) + uint64(root.head.Chans.Count-1)*uapi.CboxChanSize
	root.m.put32(ch+uapi.CboxChanReaderOff, slot)
	open := root.m.word32(ch + uapi.CboxChanStateOff)
	taken := root.m.word32(root.procOff(uapi.CboxProcStateOff + int(slot)*uapi.CboxProcSize))
	for i := uint64(1); ; i++ {
		select {
		case <-done:
			return
		default:
		}
		open.Store(0)
		taken.Store(uapi.CboxProcFree)
		taken.Store(uapi.CboxProcJoined)
		open.Store(uapi.CboxChanOpen)
		root.m.word64(ch + uapi.CboxChanHeadOff).Store(i)
		root.m.word64(ch + uapi.CboxChanLSROff).Store(i)
	}
}

// The root moves on; a process below it gets EMIGRATED even in its sleep.
func TestMigrationWakesChannels(t *testing.T) {
	_, root, _, up, _ := pair(t, Config{})
	b, err := OpenBox(root.Region())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	done := make(chan error, 1)
	go func() {
		_, err := up.Read(make([]byte, 1))
		done <- err
	}()
	time.Sleep(5 * time.Millisecond)
	if err := b.Freeze(nil, hang); err != nil {
		t.Fatal(err)
	}
	b.Depart()
	var moved *MigratedError
	if err := <-done; !errors.As(err, &moved) || moved.Replaced || moved.Generation != 1 {
		t.Errorf("got %v", err)
	}
}

// Words of the other process are checked before anything is done by them.
func TestHostilePeer(t *testing.T) {
	_, root, _, up, down := pair(t, Config{Ring: 64})
	send(t, down, "abc")
	e := up.in
	var bad *DamagedError
	for _, head := range []uint64{1 << 40, 66} {
		root.m.word64(e.at(uapi.CboxChanHeadOff)).Store(head)
		if _, err := up.Read(make([]byte, 1)); !errors.As(err, &bad) {
			t.Errorf("head %d: %v", head, err)
		}
	}
	root.m.word64(e.at(uapi.CboxChanHeadOff)).Store(3)
	get(t, up, "abc")
	root.m.word64(e.at(uapi.CboxChanHeadOff)).Store(2)
	if _, err := up.Read(make([]byte, 1)); !errors.As(err, &bad) {
		t.Errorf("head went back: %v", err)
	}
	for _, lsr := range []uint64{4, ^uint64(0)} {
		root.m.word64(down.out.at(uapi.CboxChanLSROff)).Store(lsr)
		if _, err := down.Write([]byte("x")); !errors.As(err, &bad) {
			t.Errorf("lsr %d: %v", lsr, err)
		}
	}
}

var _ net.Conn = (*Channel)(nil)
var _ net.Conn = (*Conn)(nil)
