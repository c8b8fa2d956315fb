// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/freeport"
	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
)

// halfServer reads a little, answers, and closes its sending half before it reads the
// rest to the end. HALF_STAYS has it stay before the close, or after it.
func halfServer(c *Client) error {
	l, err := c.Listen(context.Background(), "tcp", "127.0.0.1:"+os.Getenv("KEEPER_PORT"), cbox.Config{})
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go serve("half", conn, func() error { return half(conn.(*cbox.Conn)) })
	}
}

func half(c *cbox.Conn) error {
	if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "hello"); err != nil {
		return err
	}
	stay := func(where string) {
		if os.Getenv("HALF_STAYS") == where {
			fmt.Println(where)
			select {}
		}
	}
	stay("open")
	if err := c.CloseWrite(); err != nil {
		return err
	}
	stay("shut")
	rest, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	if c.RemoteAddr() == nil || c.RemoteAddr().String() == c.LocalAddr().String() {
		return fmt.Errorf("its client is %v", c.RemoteAddr())
	}
	fmt.Printf("rest %s\n", rest)
	return io.EOF
}

// only is the one session of a keeper.
func only(t *testing.T, k *Keeper) *session {
	t.Helper()
	if !k.Wait(hang, func(i []Info) bool { return len(i) == 1 }) {
		t.Fatalf("it holds %+v", k.Sessions())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.sessions {
		return s
	}
	return nil
}

// comes waits until a session's socket is in a state, and while there is a connection
// all that it has sent is acknowledged.
func comes(t *testing.T, s *session, to mtcp.State) {
	t.Helper()
	for end := time.Now().Add(hang); ; time.Sleep(time.Millisecond) {
		c, err := cbox.Counters(s.conn.fd)
		if err != nil {
			t.Fatal(err)
		}
		if c.State == to && (c.Unacked == 0 || to == mtcp.Close) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the socket is in %+v, not in %v", c, to)
		}
	}
}

// stays is a process of halfServer that a client has begun with and that goes no
// further; first is what the client sends at once.
func stays(t *testing.T, k *Keeper, socket, where, first string) (p *server, client *net.TCPConn, s *session, port int) {
	t.Helper()
	t.Setenv("HALF_STAYS", where)
	port = freeport.Pick(t)
	p = started(t, "half", "Go", socket, port)
	client = dial(t, port)
	writes(t, client, first)
	p.says(t, where)
	reads(t, client, "hello")
	t.Setenv("HALF_STAYS", "")
	return p, client, only(t, k), port
}

func ends(t *testing.T, c *net.TCPConn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("at the end: %d bytes, %v", n, err)
	}
}

func shuts(t *testing.T, c *net.TCPConn) {
	t.Helper()
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

// endings are the ways in which both ends close a connection that a process of ours
// has not read to the end.
var endings = map[string]struct {
	first, last string // of what the client sends: before the server closes, and after that
	shutsFirst  bool   // the client does
}{
	"FIN_WAIT2, bytes unread": {"0123", "456789", false},
	"FIN_WAIT2, none unread":  {"0123", "", false},
	"FIN_WAIT2, some before":  {"012345", "6789", false},
	"LAST_ACK, bytes unread":  {"0123456789", "", true},
	"LAST_ACK, none unread":   {"0123", "", true},
}

// A connection that both ends have closed is not one that its client has left: the
// process that comes after the one that was killed reads what had come, and the end
// behind it, whenever the other died. Nobody has to read anything: then it reads that.
func TestEndedIsReadToTheEnd(t *testing.T) {
	for name, e := range endings {
		for _, lang := range []string{"Go", "C"} {
			for _, late := range []bool{false, true} { // it ends when nobody has it any more
				t.Run(fmt.Sprintf("%s, %s, late %t", name, lang, late), func(t *testing.T) {
					k, socket := kept(t, Config{})
					where := "shut"
					if e.shutsFirst {
						where = "open"
					}
					p, client, s, port := stays(t, k, socket, where, e.first)
					if e.shutsFirst { // the next process closes, and has read little
						shuts(t, client)
					} else {
						ends(t, client)
					}
					if late {
						p.kill(t)
						if !k.Wait(hang, func(i []Info) bool { return len(i) == 1 && i[0].PID == 0 }) {
							t.Fatalf("it holds %+v", k.Sessions())
						}
					}
					if !e.shutsFirst {
						writes(t, client, e.last)
						shuts(t, client)
						comes(t, s, mtcp.Close)
					} else {
						if !late {
							p.kill(t)
						}
						t.Setenv("HALF_STAYS", "shut")
						p = started(t, "half", "Go", socket, port)
						p.says(t, "shut")
						t.Setenv("HALF_STAYS", "")
						ends(t, client)
						comes(t, s, mtcp.Close)
					}
					p.kill(t)
					if !k.Wait(hang, func(i []Info) bool { return len(i) == 1 && i[0].PID == 0 }) {
						t.Fatalf("it holds %+v", k.Sessions())
					}
					next := started(t, "half", lang, socket, port)
					next.says(t, "rest "+(e.first + e.last)[4:])
					if !k.Wait(hang, func(i []Info) bool { return len(i) == 0 }) {
						t.Errorf("it still holds %+v", k.Sessions())
					}
				})
			}
		}
	}
}

// A keeper that is started anew takes such a session like any other.
func TestEndedIsKeptAgain(t *testing.T) {
	k, socket := kept(t, Config{})
	p, client, s, port := stays(t, k, socket, "shut", "0123")
	ends(t, client)
	writes(t, client, "456789")
	shuts(t, client)
	comes(t, s, mtcp.Close)
	_ = os.Remove(socket)
	k.Close()
	k = keptAt(t, socket, Config{})
	if s = only(t, k); !k.Ended(s.id) {
		t.Error("it is one that can move")
	}
	p.kill(t)
	started(t, "half", "Go", socket, port).says(t, "rest 456789")
	if !k.Wait(hang, func(i []Info) bool { return len(i) == 0 }) {
		t.Errorf("it still holds %+v", k.Sessions())
	}
}

// What was reset ends with the process that had it, also if somebody has consumed the
// error; and what cannot be told from that does.
func TestResetIsNotReadToTheEnd(t *testing.T) {
	for name, e := range map[string]struct {
		where    string
		shuts    bool
		consumed bool
	}{
		"in FIN_WAIT2":             {"shut", false, false},
		"in FIN_WAIT2, consumed":   {"shut", false, true},
		"in CLOSE_WAIT":            {"open", true, false},
		"in CLOSE_WAIT, consumed":  {"open", true, true},
		"in ESTABLISHED":           {"open", false, false},
		"in ESTABLISHED, consumed": {"open", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			k, socket := kept(t, Config{})
			p, client, s, _ := stays(t, k, socket, e.where, "0123456789")
			if e.where == "shut" {
				ends(t, client)
				comes(t, s, mtcp.FinWait2)
			}
			if e.shuts {
				shuts(t, client)
				comes(t, s, mtcp.CloseWait)
			}
			_ = client.SetLinger(0)
			_ = client.Close()
			comes(t, s, mtcp.Close)
			if e.consumed {
				if code := must(unix.GetsockoptInt(s.conn.fd, unix.SOL_SOCKET, unix.SO_ERROR)); code == 0 {
					t.Error("there was no error")
				}
			}
			p.kill(t)
			if !k.Wait(hang, func(i []Info) bool { return len(i) == 0 }) {
				t.Errorf("it still holds %+v", k.Sessions())
			}
		})
	}
}
