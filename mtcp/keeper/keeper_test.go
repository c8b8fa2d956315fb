// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/freeport"
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
	l.Refused = func(c net.Conn, err error) net.Conn { t.Error(err); return c }
	client = dial(t, l.Addr().(*net.TCPAddr).Port)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s, ok := conn.(*cbox.Conn)
	if !ok {
		t.FailNow()
	}
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

// A keeper that is killed and started again is told by the processes what they
// have: from then on they may die again.
func TestKeeperRestarts(t *testing.T) {
	for _, lang := range []string{"Go", "C"} {
		t.Run(lang, func(t *testing.T) {
			k, socket := kept(t, Config{})
			port := freeport.Pick(t)
			started(t, "back", lang, socket, port)
			front := started(t, "front", lang, socket, port)
			var clients []*net.TCPConn
			states := make([]uint64, 5)
			for i := range states {
				clients = append(clients, dial(t, port))
				states[i] = must(converse(clients[i], 0, 10, 0))
			}
			_ = os.Remove(socket)
			k.Close()
			for i, c := range clients {
				states[i] = must(converse(c, 10, 20, states[i]))
			}
			k = keptAt(t, socket, Config{})
			if !k.Wait(hang, func(all []Info) bool {
				for _, i := range all {
					if i.Processes != 2 {
						return false
					}
				}
				return len(all) == len(clients)
			}) {
				t.Fatalf("it holds %+v", k.Sessions())
			}
			front.kill(t)
			late := dial(t, port) // the listening socket is kept again, too
			started(t, "front", lang, socket, port)
			for i, c := range append(clients, late) {
				from, state := 0, uint64(0)
				if i < len(states) {
					from, state = 20, states[i]
				}
				if _, err := converse(c, from, from+10, state); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
			}
		})
	}
}

// A connection that comes while no process listens waits for the next one.
func TestListenerOutlivesProcesses(t *testing.T) {
	_, socket := kept(t, Config{})
	port := freeport.Pick(t)
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
	port := freeport.Pick(t)
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
	for until := time.Now().Add(hang); queued(k) < uint32(len(clients)); time.Sleep(time.Millisecond) { // a client has connected a little earlier
		if time.Now().After(until) {
			t.Fatalf("%d are in the queue", queued(k))
		}
	}
	ids, err := k.TakeQueue() // which has room for a front and a back, as the boxes of those had that were accepted
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
	box, conn := carry(t, held)
	if err := adopt(s2, held.UID, held.Name, box, conn); err != nil {
		t.Fatal(err)
	}
	held.Depart()
	for _, socket := range []string{socket, socket2} {
		started(t, "back", "Go", socket, port)
	}
	started(t, "front", "C", socket, port)
	started(t, "front", "C", socket2, freeport.Pick(t))
	for _, c := range clients[:3] {
		if _, err := converse(c, 0, 10, 0); err != nil {
			t.Error(err)
		}
	}
}

// queued is how many connections wait to be accepted.
func queued(k *Keeper) (n uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, l := range k.listeners {
		if info, err := unix.GetsockoptTCPInfo(int(l.Fd()), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n += info.Unacked // of a listening socket
		}
	}
	return n
}

// What a mover does, between two keepers: the processes of the first one sleep
// in reads, and end in EMIGRATED; those of the second go on.
func TestHoldAndAdopt(t *testing.T) {
	for _, lang := range []string{"Go", "C"} {
		t.Run(lang, func(t *testing.T) {
			s1, socket1 := kept(t, Config{})
			s2, socket2 := kept(t, Config{})
			port := freeport.Pick(t)
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
			if _, err := s1.Hold(id, hang); !errors.Is(err, unix.EBUSY) {
				t.Errorf("held twice: %v", err)
			}
			held.Thaw()
			if state, err = converse(c, 10, 20, state); err != nil {
				t.Fatal(err)
			}
			if held, err = s1.Hold(id, hang); err != nil {
				t.Fatal(err)
			}
			box, conn := carry(t, held)
			if err := adopt(s2, held.UID, held.Name, box, conn); err != nil {
				t.Fatal(err)
			}
			held.Depart()
			first.says(t, "EMIGRATED")
			if n := len(s1.Sessions()); n != 0 {
				t.Errorf("S1 holds %d", n)
			}
			started(t, "front", lang, socket2, freeport.Pick(t))
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
func carry(t *testing.T, h *Held) (*cbox.Box, *Conn) {
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
	conn := must(NewConn(must(unix.Dup(h.Conn.fd))))
	r := must(cbox.NewRegion(im.Size()))
	b := must(im.Plant(r, head.Local(), head.Remote()))
	if err := b.Bind(conn, im.LogTo, written); err != nil {
		t.Fatal(err)
	}
	b.Thaw()
	return b, conn
}

// The keeper's death costs the protection and nothing else: sessions go on, end,
// and new ones come.
func TestKeeperDies(t *testing.T) {
	for _, lang := range []string{"Go", "C"} {
		t.Run(lang, func(t *testing.T) {
			k, socket := kept(t, Config{})
			port := freeport.Pick(t)
			started(t, "http", "Go", socket, port)
			started(t, "back", lang, socket, port)
			p := freeport.Pick(t)
			started(t, "front", lang, socket, p)
			c := dial(t, p)
			state, err := converse(c, 0, 10, 0)
			if err != nil {
				t.Fatal(err)
			}
			dial(t, port).Close()
			_ = os.Remove(socket)
			k.Close()
			if _, err := converse(c, 10, 20, state); err != nil {
				t.Error(err)
			}
			_ = c.CloseWrite()
			if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("at the end: %d bytes, %v", n, err)
			}
			resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/?n=1000", port))
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, resp.Body); n != 1000 || err != nil {
				t.Errorf("a new session: %d bytes, %v", n, err)
			}
			_ = resp.Body.Close()
		})
	}
}
