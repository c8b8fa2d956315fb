// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"lazystate/internal/netrig"
	"lazystate/internal/pause"
	"lazystate/tools/control"
)

// Client is a client machine.
type Client struct {
	*netrig.Host
	Addr   netip.Addr
	Agent  *Process // its mtcpd; nil: none
	socket string
}

func (b *Bed) openClient(ctx context.Context, i int, l Link) error {
	h := b.rig.Host(fmt.Sprintf("c%d", i))
	net := byte(9)
	if b.router != nil {
		net = 8
	}
	c := &Client{Host: h, Addr: netip.AddrFrom4([4]byte{10, net, 0, byte(10 + i)}), socket: filepath.Join(b.dir, h.Name)}
	h.Addr(c.Addr.String() + "/24")
	if err := b.routed(h, net); err != nil {
		return err
	}
	b.Clients = append(b.Clients, c)
	if err := b.limit(h, l.Bits); err != nil || !l.Agent {
		return err
	}
	return b.startAgent(ctx, c, l.Args)
}

func (b *Bed) startAgent(ctx context.Context, c *Client, more []string) (err error) {
	if c.Agent, err = b.start(c.Host, "mtcpd", append([]string{"--interface", netrig.Dev, "--socket", c.socket}, more...)...); err != nil {
		return err
	}
	return b.answers(ctx, c.Agent, c.socket)
}

// Socket is of the client's agent, for programs that run there.
func (c *Client) Socket() string { return c.socket }

// Dial connects from the client; any goroutine may.
func (c *Client) Dial(ctx context.Context, to netip.AddrPort) (conn net.Conn, err error) {
	err = c.Try(func() (err error) {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", to.String())
		return err
	})
	return conn, err
}

// Flow is how the agent calls a connection.
func Flow(conn net.Conn) string { return conn.LocalAddr().String() + "-" + conn.RemoteAddr().String() }

// Move has another server go on with a connection.
func (c *Client) Move(ctx context.Context, flow string, to netip.AddrPort) error {
	return Move(ctx, c.socket, flow, to)
}

// FirstMove is Move of a connection that has just been made: the agent may not have heard
// of it yet, and nor may the server's daemon.
func (c *Client) FirstMove(ctx context.Context, conn net.Conn, to *Site) (err error) {
	for range 100 {
		if err = c.Move(ctx, Flow(conn), to.Addr); err == nil {
			return nil
		}
		if e := pause.For(ctx, 20*time.Millisecond); e != nil {
			return e
		}
	}
	return err
}

// Move is the same for whoever runs on the client's machine.
func Move(ctx context.Context, socket, flow string, to netip.AddrPort) error {
	return control.Ask(ctx, socket, control.Request{Cmd: "move", Target: flow, To: to.String()}, nil)
}

// Phases are the durations of a move by its client (Table 2.1).
type Phases struct {
	Waited   time.Duration // C: from the request until the client has left S1
	Fetched  time.Duration // S2: from the state request to the reply
	Prepared time.Duration // S1: the same, within S1
	Frozen   time.Duration // S1: until S2 serves
}

// Phases of all moves by clients so far that the daemons have told of: from the
// first, in order, if there is only one session.
func (b *Bed) Phases(ctx context.Context, c *Client, n int) (all []Phases, err error) {
	var waited, ended []time.Duration
	err = Await(ctx, "word of a move", func() bool {
		waited = c.Agent.durations("a move has ended", "waited")
		fetched := len(b.S1.SCD.durations("a client's session", "fetched")) + len(b.S2.SCD.durations("a client's session", "fetched"))
		ended = append(b.S1.SCD.durations("a client's move has ended", "frozen"), b.S2.SCD.durations("a client's move has ended", "frozen")...)
		return len(waited) >= n && fetched >= n && len(ended) >= n
	})
	if err != nil {
		return nil, err
	}
	from, to := b.S1, b.S2 // the first move is away from S1
	for i, w := range waited[:n] {
		all = append(all, Phases{
			Waited:   w,
			Fetched:  to.SCD.durations("a client's session", "fetched")[i/2],
			Prepared: from.SCD.durations("a client's move has ended", "prepared")[i/2],
			Frozen:   from.SCD.durations("a client's move has ended", "frozen")[i/2],
		})
		from, to = to, from
	}
	return all, nil
}
