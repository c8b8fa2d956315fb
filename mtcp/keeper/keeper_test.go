// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
)

// web is a process of one, which the test plays; each call is another process
// to the keeper, but for its death.
func web(t *testing.T, socket, name string) *Client {
	t.Helper()
	c, err := Dial(socket, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// session is one that c accepts.
func accept(t *testing.T, c *Client, cfg cbox.Config) (client *net.TCPConn, s *cbox.Conn) {
	t.Helper()
	l, err := cbox.Listen(context.Background(), "tcp", "127.0.0.1:0", c.Config(cfg))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.Refused = func(_ net.Conn, err error) net.Conn { t.Error(err); return nil }
	client = dial(t, l.Addr().(*net.TCPAddr).Port)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s = conn.(*cbox.Conn)
	_ = s.SetDeadline(time.Now().Add(hang))
	t.Cleanup(s.Abandon)
	return client, s
}

func reads(t *testing.T, r io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(r, b); err != nil || string(b) != want {
		t.Fatalf("read %q, %v, want %q", b[:n], err, want)
	}
}

func writes(t *testing.T, w io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
}

// A connection that comes while no process listens waits for the next one.
func TestListenerOutlivesProcesses(t *testing.T) {
	_, socket := kept(t, Config{})
	port := freePort(t)
	back := started(t, "back", "Go", socket, port)
	first := started(t, "front", "Go", socket, port)
	dial(t, port).Close()
	first.kill(t)
	c := dial(t, port)
	started(t, "front", "C", socket, port)
	if _, err := converse(c, 0, 10, 0); err != nil {
		t.Error(err)
	}
	_ = back
}

// Connections that nobody has accepted are taken as new sessions.
func TestTakeQueue(t *testing.T) {
	k, socket := kept(t, Config{Sessions: 3})
	port := freePort(t)
	first := started(t, "front", "Go", socket, port)
	probe := dial(t, port)
	for n := 1; n >= 0; n-- {
		if !k.Wait(hang, func(i []Info) bool { return len(i) == n }) {
			t.Fatalf("it holds %+v, not %d", k.Sessions(), n)
		}
		_ = probe.SetLinger(0)
		_ = probe.Close()
	}
	first.kill(t)
	var clients []*net.TCPConn
	for range 4 {
		clients = append(clients, dial(t, port))
	}
	ids, err := k.TakeQueue(cbox.Config{Processes: 2, Channels: 1})
	if len(ids) != 3 || !errors.Is(err, unix.EDQUOT) {
		t.Fatalf("took %d, %v", len(ids), err)
	}
	if _, err := clients[3].Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the one too many: %v", err)
	}
	for _, i := range k.Sessions() {
		if i.Name != "front" || i.PID != 0 || i.Generation != 1 || i.Processes != 0 {
			t.Errorf("%+v", i)
		}
	}
	// One of them goes to another server before anybody has served it here.
	s2, socket2 := kept(t, Config{})
	held := must(k.Hold(ids[1], hang))
	region, conn := carry(t, held)
	if err := s2.Adopt(held.UID, held.Name, region, conn); err != nil {
		t.Fatal(err)
	}
	held.Depart()
	for _, socket := range []string{socket, socket2} {
		started(t, "back", "Go", socket, port)
	}
	started(t, "front", "C", socket, port)
	started(t, "front", "C", socket2, freePort(t))
	for _, c := range clients[:3] {
		if _, err := converse(c, 0, 10, 0); err != nil {
			t.Error(err)
		}
	}
}

// What a mover does, between two keepers: the processes of the first one sleep
// in reads, and end in EMIGRATED; those of the second go on.
func TestHoldAndAdopt(t *testing.T) {
	for _, lang := range []string{"Go", "C"} {
		t.Run(lang, func(t *testing.T) {
			s1, socket1 := kept(t, Config{})
			s2, socket2 := kept(t, Config{})
			port := freePort(t)
			for _, socket := range []string{socket1, socket2} {
				started(t, "back", lang, socket, port)
			}
			first := started(t, "front", lang, socket1, port)
			c := dial(t, port)
			state, err := converse(c, 0, 10, 0)
			if err != nil {
				t.Fatal(err)
			}
			id := s1.Sessions()[0].ID
			held, err := s1.Hold(id, hang)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s1.Hold(id, hang); err == nil {
				t.Error("held twice")
			}
			held.Thaw()
			if state, err = converse(c, 10, 20, state); err != nil {
				t.Fatal(err)
			}
			if held, err = s1.Hold(id, hang); err != nil {
				t.Fatal(err)
			}
			region, conn := carry(t, held)
			if err := s2.Adopt(held.UID, held.Name, region, conn); err != nil {
				t.Fatal(err)
			}
			held.Depart()
			first.says(t, "EMIGRATED")
			if n := len(s1.Sessions()); n != 0 {
				t.Errorf("S1 holds %d", n)
			}
			started(t, "front", lang, socket2, freePort(t))
			if _, err = converse(c, 20, 30, state); err != nil {
				t.Error(err)
			}
			if i := s2.Sessions(); len(i) != 1 || i[0].Generation != 2 || i[0].Processes != 2 {
				t.Errorf("S2 holds %+v", i)
			}
		})
	}
}

// carry takes a box to another server, and a duplicate of the socket.
func carry(t *testing.T, h *Held) (cbox.Region, *net.TCPConn) {
	t.Helper()
	head := must(h.Box.Head())
	im := must(cbox.ReadImage(head.Len, h.Box.Fetch))
	read, written, err := h.Box.Offsets(h.Conn)
	if err != nil {
		t.Fatal(err)
	}
	cut := must(mtcp.Cut(im.Root(), mtcp.Up{Read: read, Ack: read, Next: read},
		mtcp.Down{Una: written, Nxt: written, Written: written, State: mtcp.Established}, mtcp.Client{}, mtcp.Whole))
	if err := im.Fill(h.Box.Fetch, cut, mtcp.Whole); err != nil {
		t.Fatal(err)
	}
	f := must(h.Conn.File())
	defer f.Close()
	conn := must(tcpConn(f))
	r := must(cbox.NewRegion(im.Size()))
	b := must(im.Plant(r, head.Local(), head.Remote()))
	defer b.Close()
	if err := b.Bind(conn, im.LogTo, written); err != nil {
		t.Fatal(err)
	}
	b.Thaw()
	return r, conn
}

// What a process leaves to send when it closes is sent, though it ends at once.
func TestFinish(t *testing.T) {
	k, socket := kept(t, Config{})
	c := web(t, socket, "web")
	client, s := accept(t, c, cbox.Config{Hold: 1 << 20})
	total := fill(t, s)
	if err := s.Session.Close(); err != nil { // the last snapshot, and then it dies
		t.Fatal(err)
	}
	c.Done(s.ID())
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
	f := must(held.Conn.File())
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
	s1, socket := kept(t, Config{})
	s2, _ := kept(t, Config{})
	c := web(t, socket, "web")
	client, s := accept(t, c, cbox.Config{Hold: 1 << 20})
	total := fill(t, s)
	if err := s.Session.Close(); err != nil {
		t.Fatal(err)
	}
	c.Done(s.ID())
	for range 2 { // once it is let go again
		held, err := s1.Hold(s.ID(), hang)
		if err != nil {
			t.Fatal(err)
		}
		if total < 0 {
			region, conn := carry(t, held)
			if err := s2.Adopt(held.UID, held.Name, region, conn); err != nil {
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
	n, err := s.Write(make([]byte, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return total + n
}

// Nobody goes on with a session: its client gets a reset, not an end that looks
// like success.
func TestOrphan(t *testing.T) {
	k, socket := kept(t, Config{Orphan: 20 * time.Millisecond})
	port := freePort(t)
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
	port := freePort(t)
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

func TestLimits(t *testing.T) {
	_, socket := kept(t, Config{Sessions: 1, Processes: 2, Listeners: 1})
	c := web(t, socket, "web")
	_, s := accept(t, c, cbox.Config{})
	refused := func(what string, err error, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	conn := newConn(t)
	_, err := cbox.Create(conn, c.Config(cbox.Config{}))
	refused("a second session", err, unix.EDQUOT)
	web(t, socket, "web")
	_, err = Dial(socket, "web")
	refused("a third process", err, unix.EUSERS)
	_, err = Dial(socket, strings.Repeat("x", uapi.CboxName))
	refused("a long name", err, unix.ENAMETOOLONG)
	l, err := c.Listen(context.Background(), "tcp", "127.0.0.1:0", cbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = c.Listen(context.Background(), "tcp", "127.0.0.1:0", cbox.Config{})
	refused("a second listener", err, unix.EDQUOT)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	k2, socket := kept(t, Config{Bytes: 100 << 10})
	c = web(t, socket, "web")
	accept(t, c, cbox.Config{})
	_, err = cbox.Create(newConn(t), c.Config(cbox.Config{Log: 64 << 10}))
	refused("more bytes", err, unix.EDQUOT)
	if len(k2.Sessions()) != 1 {
		t.Error("it was kept all the same")
	}
}

func newConn(t *testing.T) *net.TCPConn {
	t.Helper()
	l, err := cbox.Listen(context.Background(), "tcp", "127.0.0.1:0", cbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dial(t, l.Addr().(*net.TCPAddr).Port)
	c, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// A process has no say in the sessions of another.
func TestOthersSessions(t *testing.T) {
	k, socket := kept(t, Config{})
	mine, other := web(t, socket, "web"), web(t, socket, "web")
	_, s := accept(t, mine, cbox.Config{Processes: 2, Channels: 1})
	child, err := s.Associate("back", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Hand(s.ID(), child); !errors.Is(err, unix.EPERM) {
		t.Errorf("it hands a child of another's over: %v", err)
	}
	other.Done(s.ID())
	if len(k.Sessions()) != 1 {
		t.Error("it ended a session of another's")
	}
	raw := must(newConn(t).File())
	defer raw.Close()
	if err := other.Keep(s.ID(), s.Region(), newConn(t)); !errors.Is(err, unix.EEXIST) {
		t.Errorf("it keeps a session of another's as its own: %v", err)
	}
	if err := mine.Hand(s.ID(), &cbox.Child{Slot: 77}); !errors.Is(err, unix.EPERM) {
		t.Errorf("a slot that is not there: %v", err)
	}
	if err := mine.Hand(s.ID(), child); err != nil {
		t.Errorf("its own: %v", err)
	}
}

// Who says what makes no sense is hung up on, and leaves no descriptor behind.
func TestNonsense(t *testing.T) {
	_, socket := kept(t, Config{})
	open := func() int { return len(must(os.ReadDir("/proc/self/fd"))) }
	before := open()
	hello := (&uapi.ScdRequest{Magic: uapi.ScdMagic, Kind: uapi.ScdHello, Name: [uapi.CboxName]byte{'x'}}).Encode()
	keep := (&uapi.ScdRequest{Magic: uapi.ScdMagic, Kind: uapi.ScdKeep}).Encode()
	for _, b := range [][]byte{hello, keep, []byte("hello"), append(hello, 0), make([]byte, 80)} {
		c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: socket, Net: "unixpacket"})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.WriteMsgUnix(b, unix.UnixRights(0), nil); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(hang))
		if n, err := c.Read(make([]byte, 100)); err == nil {
			t.Errorf("%d bytes are answered by %d", len(b), n)
		}
		_ = c.Close()
	}
	for until := time.Now().Add(hang); open() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d descriptors before, %d after", before, open())
		}
	}
}

func FuzzParse(f *testing.F) {
	for kind := range uint32(8) {
		q := uapi.ScdRequest{Magic: uapi.ScdMagic, Kind: kind, Name: [uapi.CboxName]byte{'x'}}
		f.Add(q.Encode(), 2)
	}
	f.Add([]byte("short"), 0)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		q, err := parse(b, n)
		if err != nil {
			return
		}
		if uapi.CString(q.Name[:]) == "" && q.Kind == uapi.ScdHello || n != fdsOf[q.Kind] {
			t.Errorf("it passes: %+v with %d descriptors", q, n)
		}
	})
}
