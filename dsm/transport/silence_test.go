// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A peer of which nothing comes any more is lost, though its connection is there and its
// device or kernel answers. When it is there again, what was sent meanwhile comes.
func TestSilence(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.silence = 2 * time.Second
		e := r.start(0, 1)
		e.meet(1)
		e.until("connection", func() bool { return e.up[1] == 1 })
		e.Send(e.message(1, 1, 1))
		e.until("loss", func() bool { return len(e.lost) > 0 })
		if why := e.errors(&e.lost)[0]; !errors.Is(why, ErrSilent) {
			t.Errorf("%v", why)
		}
		s := e.meet(1)
		for {
			h, _, err := readFrame(s.in, nil)
			if err != nil {
				t.Fatalf("before the message: %v", err)
			}
			if h.kind == kindMessage {
				return
			}
		}
	})
}

// gap is a relay that swallows what it is given, once it is told to.
type gap struct {
	net.Listener
	to    string
	holds atomic.Bool
}

func (g *gap) serve() {
	for {
		a, err := g.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("tcp", g.to)
		if err != nil {
			a.Close()
			continue
		}
		go g.pump(a, b)
		go g.pump(b, a)
	}
}

func (g *gap) pump(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		if g.holds.Load() {
			continue
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// Nothing comes any more of either end, though the connection is there: both are lost,
// and meet again.
func TestSilentNetwork(t *testing.T) {
	for _, carrier := range []string{"tcp", "tls"} { // over RoCE: TestPartition
		t.Run(carrier, func(t *testing.T) { silentNetwork(t, newRig(t, carrier)) })
	}
}

func silentNetwork(t *testing.T, r *rig) {
	r.cfg.Nodes = 2
	r.silence = 2 * time.Second
	a := r.start(0, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	g := &gap{Listener: l, to: r.address(0)}
	go g.serve()
	r.at(0, l.Addr().String())
	b := r.start(1, 1)
	b.ready()
	g.holds.Store(true)
	a.Send(a.message(1, 1, 1))
	b.Send(b.message(0, 1, 1))
	for _, e := range []*end{a, b} {
		e.until("loss", func() bool { return len(e.lost) > 0 })
		if why := e.errors(&e.lost)[0]; !errors.Is(why, ErrSilent) && !strings.Contains(why.Error(), "EOF") && !strings.Contains(why.Error(), "reset") {
			t.Errorf("%v", why)
		}
	}
	g.holds.Store(false)
	a.until("message", a.inOrder(1, 1))
	b.until("message", b.inOrder(0, 1))
}
