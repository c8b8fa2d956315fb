// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/freeport"
	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
)

// What a process leaves to send when it closes is sent, though it ends at once.
func TestFinish(t *testing.T) {
	k, socket := kept(t, Config{Box: 64 << 20})
	c := web(t, socket, "web")
	client, s := accept(t, c, cbox.Config{Hold: 16 << 20})
	total := fill(t, s)
	if err := s.Session.Close(); err != nil { // the last snapshot, and then it dies
		t.Fatal(err)
	}
	c.Done(s.ID(), s.Generation())
	got, err := io.Copy(io.Discard, client)
	if err != nil || int(got) != total {
		t.Errorf("the client got %d of %d, %v", got, total, err)
	}
	if !k.Wait(hang, func(i []Info) bool { return len(i) == 0 }) {
		t.Error("it is still held")
	}
}

// A process that closes a session before it has repeated what the one before it
// did has gone another way: the client is told by a reset, not by an end.
func TestDivergedSessionIsReset(t *testing.T) {
	k, socket := kept(t, Config{})
	c := web(t, socket, "web")
	client, s := accept(t, c, cbox.Config{})
	writes(t, s, "abc")
	reads(t, client, "abc")
	held := must(k.Hold(s.ID(), hang))
	region := s.Region()
	region.File = must(dup(region.File))
	f := os.NewFile(uintptr(must(unix.Dup(held.Conn.fd))), "connection")
	conn := must(tcpConn(f))
	_ = f.Close()
	held.Thaw()
	s.Abandon()
	next, err := cbox.Resume(region, conn, c.Config(cbox.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	writes(t, next, "a")
	var diverged *mtcp.DivergedError
	if err := next.Close(); !errors.As(err, &diverged) {
		t.Errorf("close: %v", err)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the client: %v", err)
	}
	if !k.Wait(hang, func(i []Info) bool { return len(i) == 0 }) {
		t.Error("it is still held")
	}
}

// A session that its server has closed, but whose client is slow to take the
// rest, is moved like any other, and finished where it comes to.
func TestFinishElsewhere(t *testing.T) {
	s1, socket := kept(t, Config{Box: 64 << 20})
	s2, _ := kept(t, Config{Box: 64 << 20})
	c := web(t, socket, "web")
	client, s := accept(t, c, cbox.Config{Hold: 16 << 20})
	total := fill(t, s)
	if err := s.Session.Close(); err != nil {
		t.Fatal(err)
	}
	c.Done(s.ID(), s.Generation())
	for range 2 { // once it is let go again
		held, err := s1.Hold(s.ID(), hang)
		if err != nil {
			t.Fatal(err)
		}
		if total < 0 {
			box, conn := carry(t, held)
			if err := adopt(s2, held.UID, held.Name, box, conn); err != nil {
				t.Fatal(err)
			}
			held.Depart()
			break
		}
		held.Thaw()
		total = -total
	}
	got, err := io.Copy(io.Discard, client)
	if err != nil || int(got) != -total {
		t.Errorf("the client got %d of %d, %v", got, -total, err)
	}
	if !s2.Wait(hang, func(i []Info) bool { return len(i) == 0 }) {
		t.Error("it is still held")
	}
}

// fill writes more than the socket takes, held and then released by nothing but
// the end; it returns how much.
func fill(t *testing.T, s *cbox.Conn) int {
	t.Helper()
	_ = s.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	total := 0
	for err := error(nil); err == nil; {
		var n int
		n, err = s.Write(make([]byte, 1<<16))
		total += n
	}
	_ = s.SetWriteDeadline(time.Time{})
	if err := s.ExportNDI(nil); err != nil {
		t.Fatal(err)
	}
	n, err := s.Write(make([]byte, 16<<20)) // no socket takes that much
	if err != nil {
		t.Fatal(err)
	}
	return total + n
}

// Nobody goes on with a session: its client gets a reset, not an end that looks
// like success.
func TestOrphan(t *testing.T) {
	k, socket := kept(t, Config{Orphan: 20 * time.Millisecond})
	port := freeport.Pick(t)
	p := started(t, "front", "Go", socket, port)
	started(t, "back", "Go", socket, port)
	c := dial(t, port)
	if _, err := converse(c, 0, 5, 0); err != nil {
		t.Fatal(err)
	}
	p.kill(t)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("got %v", err)
	}
	if !k.Wait(hang, func(i []Info) bool { return len(i) == 0 }) {
		t.Error("it is still held")
	}
}

// A client that is gone while nobody serves it is nobody's any more.
func TestClientGoesMeanwhile(t *testing.T) {
	k, socket := kept(t, Config{})
	port := freeport.Pick(t)
	p := started(t, "front", "Go", socket, port)
	c := dial(t, port)
	if !k.Wait(hang, func(i []Info) bool { return len(i) == 1 }) {
		t.Fatal("it is not held")
	}
	p.kill(t)
	_ = c.SetLinger(0)
	_ = c.Close()
	if !k.Wait(hang, func(i []Info) bool { return len(i) == 0 || i[0].PID == 0 }) {
		t.Fatalf("it holds %+v", k.Sessions())
	}
	started(t, "front", "Go", socket, port)
	if !k.Wait(hang, func(i []Info) bool { return len(i) == 0 }) {
		t.Error("it is still held")
	}
}

// Whoever is to keep what only the keeper has is told so, and when that is over: of a
// session whose root has died, and of the rest of one that its root has closed.
func TestWaitingIsTold(t *testing.T) {
	told, over := make(chan Info, 9), make(chan cbox.ID, 9)
	k, socket := kept(t, Config{Box: 64 << 20, Waiting: func(i Info, r cbox.Region, c *Conn) func() {
		if r.Length != i.Bytes || c.Local() != i.Local {
			t.Errorf("%+v: another box, or another connection", i)
		}
		told <- i
		return func() { over <- i.ID }
	}})
	c := web(t, socket, "web")
	client, s := accept(t, c, cbox.Config{Hold: 16 << 20})
	fill(t, s)
	if err := s.Session.Close(); err != nil {
		t.Fatal(err)
	}
	c.Done(s.ID(), s.Generation())
	if i := <-told; i.ID != s.ID() || i.PID != 0 {
		t.Errorf("%+v is told", i)
	}
	if len(over) > 0 {
		t.Error("it is over, and the client has not got it")
	}
	if _, err := io.Copy(io.Discard, client); err != nil {
		t.Error(err)
	}
	if id := <-over; id != s.ID() {
		t.Errorf("session %s is over", id)
	}

	box, conn := carried(t) // nobody serves it
	if err := adopt(k, uint32(os.Getuid()), "other", box, conn); err != nil {
		t.Fatal(err)
	}
	if i := <-told; i.ID != box.ID() {
		t.Errorf("%+v is told", i)
	}
	if len(over) > 0 {
		t.Error("it is over, and nobody has it")
	}
	must(web(t, socket, "other").Take())
	if id := <-over; id != box.ID() {
		t.Errorf("session %s is over", id)
	}
	if len(told) > 0 {
		t.Errorf("%+v is told as well", <-told)
	}

	box, conn = carried(t) // somebody keeps it as what comes, and need not if it waits
	room := must(k.Reserve(uint32(os.Getuid()), "a third", box.Region()))
	if err := room.Adopt(box, conn, func() { t.Error("it is over for whoever kept it as it came") }); err != nil {
		t.Fatal(err)
	}
	if i := <-told; i.ID != box.ID() {
		t.Errorf("%+v is told", i)
	}
	k.TellWaiting()
	if i := <-told; i.ID != box.ID() {
		t.Errorf("%+v is told again", i)
	}
	must(web(t, socket, "a third").Take())
	if id := <-over; id != box.ID() {
		t.Errorf("session %s is over", id)
	}
	k.TellWaiting()
	if len(told)+len(over) > 0 {
		t.Errorf("%d are told once more, %d are over", len(told), len(over))
	}
}

// Who could not keep a session that waits is told of it again when it can.
func TestWaitingIsToldAgain(t *testing.T) {
	over := make(chan cbox.ID, 9)
	able := false // under the keeper's lock
	k, socket := kept(t, Config{Waiting: func(i Info, _ cbox.Region, _ *Conn) func() {
		if !able {
			return nil
		}
		return func() { over <- i.ID }
	}})
	box, conn := carried(t)
	if err := adopt(k, uint32(os.Getuid()), "web", box, conn); err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	able = true
	k.mu.Unlock()
	k.TellWaiting()
	must(web(t, socket, "web").Take())
	if id := <-over; id != box.ID() {
		t.Errorf("session %s is over", id)
	}
}

// What came and is to leave before its process has taken it is kept as what lives here:
// who finds it frozen must not take it for one that is still to come.
func TestLeavesBeforeItIsTaken(t *testing.T) {
	told := make(chan cbox.ID, 99)
	k, socket := kept(t, Config{Waiting: func(i Info, _ cbox.Region, _ *Conn) func() {
		told <- i.ID
		return func() {}
	}})
	web(t, socket, "web")
	k.mu.Lock()
	for p := range k.processes {
		_ = p.sessions.SetWriteBuffer(1) // room for a few
	}
	k.mu.Unlock()
	var last cbox.ID
	for range 40 {
		box, conn := carried(t)
		room := must(k.Reserve(uint32(os.Getuid()), "web", box.Region()))
		if err := room.Adopt(box, conn, func() {}); err != nil {
			t.Fatal(err)
		}
		last = box.ID()
	}
	if len(told) > 0 {
		t.Errorf("%s is told, and a process has it", <-told)
	}
	held := must(k.Hold(last, hang))
	select {
	case id := <-told:
		if id != last {
			t.Errorf("session %s is told", id)
		}
	default:
		t.Error("it is kept as one that comes")
	}
	held.Thaw()
}

// A process that lives, but takes no more sessions, does not have those that it was to
// have: another one gets them.
func TestProcessTakesNoMore(t *testing.T) {
	k, socket := kept(t, Config{})
	deaf := web(t, socket, "web")
	deaf.mu.Lock()
	_ = deaf.sessions.Close()
	deaf.mu.Unlock()
	var want []cbox.ID
	for range 3 {
		box, conn := carried(t)
		if err := adopt(k, uint32(os.Getuid()), "web", box, conn); err != nil {
			t.Fatal(err)
		}
		want = append(want, box.ID())
	}
	next := web(t, socket, "web")
	for range want {
		_ = next.sessions.SetReadDeadline(time.Now().Add(hang))
		p, err := cbox.Take(next.sessions)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(want, cbox.ID(p.Session)) {
			t.Errorf("session %s is handed over", p.Session)
		}
		_ = p.Conn.Close()
		_ = p.Region.File.Close()
	}
}

// A session that no process has, and that nobody else cares for, ends with its keeper
// by a reset; a process that takes it finds the connection as it was.
func TestAloneEndsByAReset(t *testing.T) {
	for _, taken := range []bool{true, false} {
		k, socket := kept(t, Config{})
		l := must(cbox.Listen(t.Context(), "tcp", "127.0.0.1:0", cbox.Config{}))
		defer l.Close()
		client := dial(t, l.Addr().(*net.TCPAddr).Port)
		server := must(l.AcceptTCP())
		const want = 7
		if err := server.SetLinger(7); err != nil {
			t.Fatal(err)
		}
		box, conn := carriedOn(t, server)
		if err := adopt(k, uint32(os.Getuid()), "web", box, conn); err != nil {
			t.Fatal(err)
		}
		if now := must(conn.lingers()); now != (unix.Linger{Onoff: 1}) || conn.Lingers() != want {
			t.Errorf("it lingers %+v while nobody has it, as its process had it %d", now, conn.Lingers())
		}
		held := must(k.Hold(box.ID(), hang))
		if now := must(conn.lingers()); now != (unix.Linger{Onoff: 1, Linger: want}) {
			t.Errorf("it lingers %+v where it is moved", now)
		}
		held.Thaw()
		if taken {
			c := web(t, socket, "web")
			p := must(c.Take())
			for end := time.Now().Add(hang); must(conn.lingers()) != (unix.Linger{Onoff: 1, Linger: want}); time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("it lingers %+v at a process", must(conn.lingers()))
				}
			}
			_ = p.Conn.Close()
			continue
		}
		k.Close()
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("the client: %v", err)
		}
	}
}
