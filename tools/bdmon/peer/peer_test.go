// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lazystate/internal/freeport"
	"lazystate/internal/identity"
	"lazystate/internal/syncbuf"
	"lazystate/sensorbox/fleet"
)

func someone(t testing.TB) *identity.Identity {
	t.Helper()
	b, public, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.Parse(b)
	if err != nil || id.Public != public {
		t.Fatalf("identity %v, want %v: %v", id, public, err)
	}
	return id
}

type heard struct {
	conn uint64
	r    *fleet.Report
}

type rig struct {
	*Mesh
	heard chan heard
	log   *syncbuf.Buffer
}

// start runs a monitor's mesh; listen "": any free port.
func start(t testing.TB, name string, id *identity.Identity, listen string, peers ...Peer) *rig {
	t.Helper()
	r := &rig{heard: make(chan heard, 1000), log: &syncbuf.Buffer{}}
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	r.Mesh = &Mesh{
		Identity: id, Self: name, Listen: listen, Peers: peers, Beat: 20 * time.Millisecond,
		Heard: func(conn uint64, rep *fleet.Report) { r.heard <- heard{conn, rep} },
		Log:   slog.New(slog.NewTextHandler(r.log, nil)),
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// pair is two monitors that know each other.
func pair(t testing.TB) (a, b *rig, ida, idb *identity.Identity) {
	ida, idb = someone(t), someone(t)
	addrB := freeport.Addr(t)
	a = start(t, "a", ida, "", Peer{"b", addrB, idb.Public})
	b = start(t, "b", idb, addrB, Peer{"a", a.Addr().String(), ida.Public})
	return a, b, ida, idb
}

func report(from string, seq uint64) *fleet.Report {
	return &fleet.Report{Version: fleet.ReportVersion, Monitor: from, Seq: seq, Lines: []fleet.Line{{Target: "t1", Path: fleet.PathGood}}}
}

func (r *rig) next(t testing.TB) heard {
	t.Helper()
	select {
	case h := <-r.heard:
		return h
	case <-time.After(time.Minute):
		t.Fatalf("nothing was heard\n%s", r.log)
		return heard{}
	}
}

func TestReportsBothWays(t *testing.T) {
	a, b, _, _ := pair(t)
	a.Tell(report("a", 1))
	b.Tell(report("b", 1))
	if h := b.next(t); h.r.Monitor != "a" || h.r.Lines[0].Path != fleet.PathGood {
		t.Errorf("b heard %+v", h.r)
	}
	if h := a.next(t); h.r.Monitor != "b" {
		t.Errorf("a heard %+v", h.r)
	}
	// The last word is said before the end.
	a.Tell(&fleet.Report{Version: 1, Monitor: "a", Seq: 2, Leaving: true})
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if h := b.next(t); !h.r.Leaving {
		t.Errorf("b heard %+v", h.r)
	}
}

// A monitor that starts again is heard over a connection with a higher number.
func TestConnectionsRise(t *testing.T) {
	a, b, ida, idb := pair(t)
	a.Tell(report("a", 1))
	first := b.next(t).conn
	a.Close()
	again := start(t, "a", ida, "", Peer{"b", b.Addr().String(), idb.Public})
	again.Tell(report("a", 1))
	if second := b.next(t).conn; second <= first {
		t.Errorf("connection %d after %d", second, first)
	}
	// And back: b finds a new connection by itself when its peer is there again.
	b.Tell(report("b", 1))
}

// dial connects as id does, and writes.
func dial(t testing.TB, to net.Addr, id *identity.Identity, text string) error {
	t.Helper()
	c, err := tls.Dial("tcp", to.String(), id.TLS(protocol, func(identity.PublicKey) error { return nil }))
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	c.SetReadDeadline(time.Now().Add(time.Minute))
	_, err = c.Read(make([]byte, 1)) // its end, for it says nothing
	return err
}

func TestRefuses(t *testing.T) {
	ida := someone(t)
	enc := func(r *fleet.Report) string {
		text, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, c := range map[string]struct {
		id   *identity.Identity
		text string
		want string
	}{
		"a stranger":          {someone(t), enc(report("a", 9)), "nobody here knows this key"},
		"another's name":      {ida, enc(report("b", 9)), "speaks for"},
		"garbage":             {ida, "GET / HTTP/1.1\r\n\r\n", "report"},
		"a line without end":  {ida, strings.Repeat("x", fleet.LongestReport+10), "token too long"},
		"not a single report": {ida, `{"v":1,"monitor":"a"}{"v":1,"monitor":"a"}` + "\n", "more than one"},
	} {
		b := start(t, "b", someone(t), "", Peer{"a", "127.0.0.1:1", ida.Public}) // a itself does not run
		was := b.log.String()
		if err := dial(t, b.Addr(), c.id, c.text); err == nil {
			t.Errorf("%s: b answered", name)
		}
		for end := time.Now().Add(time.Minute); !strings.Contains(b.log.String()[len(was):], c.want); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: b never said %q:\n%s", name, c.want, b.log.String()[len(was):])
			}
		}
		select {
		case h := <-b.heard:
			t.Errorf("%s: b heard %+v", name, h.r)
		default:
		}
	}
}

// A monitor that answers in another's place is not told anything.
func TestDialerKnowsItsPeer(t *testing.T) {
	ida, idb, other := someone(t), someone(t), someone(t)
	imposter := start(t, "b", other, "", Peer{"a", "127.0.0.1:1", ida.Public})
	a := start(t, "a", ida, "", Peer{"b", imposter.Addr().String(), idb.Public})
	a.Tell(report("a", 1))
	for end := time.Now().Add(time.Minute); !strings.Contains(a.log.String(), "has another key"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("a said:\n%s", a.log)
		}
	}
	select {
	case h := <-imposter.heard:
		t.Errorf("it heard %+v", h.r)
	default:
	}
}

// relay passes a's bytes on to b, and keeps them.
func relay(t testing.TB, to string) (addr string, sent func() []byte) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var mu sync.Mutex
	var all bytes.Buffer
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		d, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		go io.Copy(c, d)
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			mu.Lock()
			all.Write(buf[:n])
			mu.Unlock()
			if _, werr := d.Write(buf[:n]); err != nil || werr != nil {
				return
			}
		}
	}()
	return l.Addr().String(), func() []byte { mu.Lock(); defer mu.Unlock(); return bytes.Clone(all.Bytes()) }
}

// What was recorded on the wire makes no second report.
func TestReplay(t *testing.T) {
	ida, idb := someone(t), someone(t)
	b := start(t, "b", idb, "", Peer{"a", "127.0.0.1:1", ida.Public})
	via, sent := relay(t, b.Addr().String())
	a := start(t, "a", ida, "", Peer{"b", via, idb.Public})
	a.Tell(report("a", 7))
	b.next(t)
	recorded := sent()
	if len(recorded) < 500 {
		t.Fatalf("%d bytes recorded", len(recorded))
	}
	c, err := net.Dial("tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write(recorded)
	c.SetReadDeadline(time.Now().Add(time.Minute))
	io.Copy(io.Discard, c) // until b ends it
	select {
	case h := <-b.heard:
		t.Errorf("b heard the recording: %+v", h.r)
	default:
	}
}

// Who stands at the door and says nothing, or rubbish, keeps nobody out.
func TestStrangersAtTheDoor(t *testing.T) {
	a, b, _, _ := pair(t)
	rubbish := make([]byte, 300)
	rand.Read(rubbish)
	for i := range mostConns / 2 {
		c, err := net.Dial("tcp", b.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			c.Write(rubbish)
		}
	}
	a.Tell(report("a", 1))
	b.next(t)
	if n := strings.Count(b.log.String(), "control connection"); n > 3 {
		t.Errorf("it said %d lines about strangers:\n%s", n, b.log)
	}
}

// FuzzDoor sends bytes to the port itself: whatever they are, the mesh goes on
// listening to who is known.
func FuzzDoor(f *testing.F) {
	f.Add([]byte{0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0})
	f.Add([]byte("GET / HTTP/1.0\r\n\r\n"))
	a, b, _, _ := pair(f)
	seq := uint64(0)
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := net.Dial("tcp", b.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.Write(raw)
		c.Close()
		seq++
		a.Tell(report("a", seq))
		for b.next(t).r.Seq != seq {
		}
	})
}

// A port that is taken is an error at the start, not silence later.
func TestListenFails(t *testing.T) {
	a := start(t, "a", someone(t), "")
	second := &Mesh{Identity: someone(t), Self: "b", Listen: a.Addr().String(), Log: slog.New(slog.DiscardHandler)}
	if err := second.Start(); !errors.Is(err, syscall.EADDRINUSE) {
		second.Close()
		t.Errorf("got %v", fmt.Sprint(err))
	}
}
