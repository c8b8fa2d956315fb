// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"lazystate/dsm"
	"lazystate/dsm/wire"
	"lazystate/internal/identity"
	"lazystate/verbs"
	"lazystate/verbs/verbstest"
)

// stranger is a peer made by hand: it has shaken hands as node 1 and says what it
// likes then.
type stranger struct {
	*conn
	its hello
}

// meet connects a stranger with a node.
func (e *end) meet(inc uint32) *stranger {
	e.r.t.Helper()
	s, err := e.tryMeet(inc, nil)
	if err != nil {
		e.r.t.Fatal(err)
	}
	return s
}

func (e *end) tryMeet(inc uint32, change func(*hello)) (*stranger, error) {
	c, err := e.r.connect(e.cfg.Cluster.Self)
	if err != nil {
		return nil, err
	}
	cfg := e.cfg.Cluster
	cfg.Self = 1
	mine := newHello(cfg, inc, e.cfg.Cluster.Self)
	if change != nil {
		change(&mine)
	}
	its, err := greet(c, c.bind, e.r.key[:], mine)
	if err != nil {
		c.raw.Close()
		return nil, err
	}
	if e.r.rdma() {
		if err := lendNothing(c); err != nil {
			c.raw.Close()
			return nil, err
		}
	}
	if e.r.carrier == "unix" {
		rings, err := share(c.raw.conduit.(*socket), true, offer{})
		if err != nil {
			c.raw.Close()
			return nil, err
		}
		c.raw = &pulse{conduit: rings, now: c.raw.now}
		c = plain(c.raw, c.raw)
	}
	e.r.t.Cleanup(func() { c.raw.Close() })
	return &stranger{c, its}, nil
}

// lendNothing is what nodes without shelves say over RDMA.
func lendNothing(c *conn) error {
	if _, err := c.Write(lent{}.bytes()); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, lentSize))
	return err
}

// conduit dials a node.
func (r *rig) conduit(node dsm.NodeID) (conduit, error) {
	if r.rdma() {
		address := r.address(node)
		if r.carrier == "roce" {
			address += "?local=" + verbstest.Loopback().String()
		}
		c, err := verbs.Dial(r.t.Context(), address, queues())
		if err != nil {
			return nil, err
		}
		return newWired(c)
	}
	network, address := "tcp", r.address(node)
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	c, err := net.Dial(network, address)
	if err != nil {
		return nil, err
	}
	return take(c)
}

// connect dials a node, without a word.
func (r *rig) connect(node dsm.NodeID) (*conn, error) {
	s, err := r.conduit(node)
	if err != nil {
		return nil, err
	}
	raw := &pulse{conduit: s, now: func() time.Duration { return 0 }}
	if !slices.Contains([]string{"tls", "mem", rxe}, r.carrier) { // elsewhere it is the loopback
		return plain(raw, raw), nil
	}
	pem, _, err := identity.New()
	if err != nil {
		return nil, err
	}
	id, err := identity.Parse(pem)
	if err != nil {
		return nil, err
	}
	return secure(raw, raw, id, true)
}

// framed is a message in a frame.
func framed(t *testing.T, cfg dsm.Config, m *dsm.Message) []byte {
	t.Helper()
	b, err := wire.AppendMessage(nil, m, cfg.Nodes, cfg.PageSize)
	if err != nil {
		t.Fatal(err)
	}
	return frameOf(kindMessage, 0, string(b))
}

func frameOf(k kind, ack uint64, body string) []byte { return appendFrame(nil, k, ack, body) }

// raised is a beat's head with other words in it.
func raised(change func(b []byte)) []byte {
	b := frameOf(kindBeat, 0, "")
	change(b)
	binary.LittleEndian.PutUint32(b[16:], crc32.Checksum(b[:16], castagnoli))
	return b
}

// Whatever a peer says that has the key, the link is closed when it makes no sense,
// the receiver is told, and others are heard.
func TestNonsense(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		e := r.start(0, 1)
		inc := uint32(1)
		for what, b := range map[string]func(m *dsm.Message) []byte{
			"checksum":         func(*dsm.Message) []byte { b := frameOf(kindBeat, 0, ""); b[17]++; return b },
			"kind 9":           func(*dsm.Message) []byte { return frameOf(9, 0, "") },
			"kind 777":         func(*dsm.Message) []byte { return raised(func(b []byte) { b[4], b[5] = 777&0xff, 777>>8 }) },
			"at most 0":        func(*dsm.Message) []byte { return frameOf(kindBeat, 0, "text") },
			"at most 512":      func(*dsm.Message) []byte { return frameOf(kindBye, 0, strings.Repeat("a", 600)) },
			"at most 21474":    func(*dsm.Message) []byte { return raised(func(b []byte) { b[3], b[4] = 1<<7, 1 }) },
			"too short":        func(*dsm.Message) []byte { return frameOf(kindMessage, 0, "dsm") },
			"and 0 is the la":  func(*dsm.Message) []byte { return frameOf(kindBeat, 1, "") },
			"message from P2":  func(m *dsm.Message) []byte { m.From = 2; return framed(t, r.cfg, m) },
			"to P2.1 on":       func(m *dsm.Message) []byte { m.To = 2; return framed(t, r.cfg, m) },
			"from P1.99":       func(m *dsm.Message) []byte { m.FromInc = 99; return framed(t, r.cfg, m) },
			"to P0.7":          func(m *dsm.Message) []byte { m.ToInc = 7; return framed(t, r.cfg, m) },
			"and 1 is missing": func(m *dsm.Message) []byte { m.Seq = 2; return framed(t, r.cfg, m) },
			"in the midst":     func(m *dsm.Message) []byte { b := framed(t, r.cfg, m); return b[:len(b)-3] },
		} {
			s := e.meet(inc)
			if _, err := s.Write(b(r.asNode1(inc, 1))); err != nil {
				t.Fatal(err)
			}
			if what == "in the midst" {
				s.raw.Close()
			}
			e.until("word of "+what, func() bool {
				for _, err := range append(e.nonsense, e.lost...) {
					if strings.Contains(err.Error(), what) {
						return true
					}
				}
				return false
			})
			_, _ = io.Copy(io.Discard, s) // it ends
			inc++
		}
		s := e.meet(inc)
		if _, err := s.Write(framed(t, r.cfg, r.asNode1(inc, 1))); err != nil {
			t.Fatal(err)
		}
		e.until("good message", func() bool { return len(e.got[1]) == 1 })
	})
}

// asNode1 makes messages as node 1 would.
func (r *rig) asNode1(inc uint32, seq uint64) *dsm.Message {
	return (&end{r: r, Transport: &Transport{cfg: r.config(1, inc)}}).message(0, 1, seq)
}

// What an earlier incarnation had sent, and this node has not looked at when the next
// one comes, is neither heard nor nonsense.
func TestOldConnectionStillSpeaks(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		began, hold := make(chan struct{}), make(chan struct{})
		e := r.start(0, 1, func(e *end, _ *Config) {
			e.deliver = func(m *dsm.Message) {
				if m.FromInc == 1 {
					close(began)
					<-hold
				}
			}
		})
		old := e.meet(1)
		var all []byte
		for seq := range uint64(3) {
			all = append(all, framed(t, r.cfg, r.asNode1(1, seq+1))...)
		}
		if _, err := old.Write(all); err != nil {
			t.Fatal(err)
		}
		<-began
		next := e.meet(2)
		if _, err := next.Write(framed(t, r.cfg, r.asNode1(2, 1))); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(bound); e.Peers()[0].Incarnation != 2; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the next one is not there")
			}
		}
		close(hold)
		e.until("message of the next", func() bool { n := len(e.got[1]); return n > 0 && e.got[1][n-1].FromInc == 2 })
		if got, errs := e.heard(1), e.errors(&e.nonsense); len(got) != 2 || len(errs) > 0 {
			t.Errorf("%d messages, nonsense %v", len(got), errs)
		}
	})
}

// A node of another version is told which the two are, by whoever hears it first.
func TestOtherVersion(t *testing.T) {
	cfg := testCluster
	cfg.Self = 1
	mine := func(to dsm.NodeID) hello { return newHello(testCluster, 1, to) }
	says := fmt.Sprintf("speaks version %d, this node version %d", Version+1, Version)
	other := newHello(cfg, 1, 0).bytes()
	other[4]++
	near, far := net.Pipe()
	answered := make(chan error, 1)
	go func() {
		_, err := answer(near, nil, nil, mine, func(hello) error { return nil })
		near.Close()
		answered <- err
	}()
	if _, err := far.Write(other); err != nil {
		t.Fatal(err)
	}
	if _, err := readHello(far); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("the dialer is told: %v", err)
	}
	if err := <-answered; err == nil || !told(err) || !strings.Contains(err.Error(), says) {
		t.Errorf("the listener: %v", err)
	}
	near, far = net.Pipe()
	go func() {
		_, _ = io.ReadFull(far, make([]byte, helloSize))
		_, _ = far.Write(other)
		far.Close()
	}()
	if _, err := greet(near, nil, nil, mine(1)); err == nil || !told(err) || !strings.Contains(err.Error(), says) {
		t.Errorf("the dialer hears: %v", err)
	}
}

// A hello that does not fit is answered by why, also by one who has the key.
func TestHelloThatDoesNotFit(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		e := r.start(0, 1)
		for want, change := range map[string]func(*hello){
			"it says that it is P9": func(h *hello) { h.from = 9 },
			"it says that it is P0": func(h *hello) { h.from = 0 },
			"it looks for P2":       func(h *hello) { h.to = 2 },
			"incarnation 0":         func(h *hello) { h.inc = 0 },
		} {
			if _, err := e.tryMeet(1, change); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", want, err)
			}
		}
	})
}

// Who has no key gets no further, whatever it says, and takes no node's place.
func TestStrangers(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		e := r.start(0, 1)
		var open []*conn
		for i := range 20 {
			c, err := r.connect(0)
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, c)
			switch i % 4 {
			case 1:
				_, _ = c.Write([]byte(strings.Repeat("GET / HTTP/1.1\r\n", 20)))
			case 2:
				_, _ = c.Write(newHello(e.cfg.Cluster, 1, 0).bytes()[:30])
			case 3:
				h := newHello(e.cfg.Cluster, 1, 0)
				h.from = 1
				_, _ = c.Write(append(h.bytes(), make([]byte, 100)...))
			}
		}
		n := r.start(1, 1)
		n.until("connection", func() bool { return n.up[0] > 0 })
		for _, c := range open {
			c.raw.Close()
		}
	})
}

// FuzzFrames: whatever comes on a link ends it or is a message.
func FuzzFrames(f *testing.F) {
	cfg := testCluster
	e := &end{Transport: &Transport{cfg: Config{Cluster: cfg, Incarnation: 1}}}
	e.cfg.Cluster.Self = 1
	for _, m := range []*dsm.Message{e.message(0, 1, 1), e.page(0, 1)} {
		b, err := wire.AppendMessage(nil, m, cfg.Nodes, cfg.PageSize)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(frameOf(kindMessage, 0, string(b)), frameOf(kindBye, 0, "bye")...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := strings.NewReader(string(b))
		var body []byte
		for {
			h, next, err := readFrame(in, body)
			if err != nil {
				return
			}
			if body = next; len(body) != int(h.length) || cap(body) > len(b)+2*step {
				t.Fatalf("a body of %d bytes, room for %d, of %d", len(body), cap(body), h.length)
			}
			if h.kind == kindMessage {
				_, _ = wire.ParseMessage(body, cfg.Nodes, cfg.PageSize)
			}
		}
	})
}

// FuzzHello: what is taken for a hello comes back as it was.
func FuzzHello(f *testing.F) {
	f.Add(newHello(testCluster, 3, 1).bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHello(b)
		if err != nil {
			return
		}
		if string(h.bytes()) != string(b) {
			t.Fatal("it comes back otherwise")
		}
		if h.fits(newHello(testCluster, 1, h.from)) == nil && int(h.from) >= testCluster.Nodes {
			t.Fatal("there is no such node")
		}
	})
}
