// SPDX-License-Identifier: Apache-2.0

package mtcp

import (
	"fmt"

	"lazystate/internal/seqnum"
)

// Endpoint is the server's half of a connection in TCP's own numbers, taken
// when no segment can change them any more.
type Endpoint struct {
	State  State
	Una    seqnum.Value // first byte the client has not acknowledged
	Nxt    seqnum.Value // first byte never sent: MAX in §3.6.5
	Write  seqnum.Value // first byte the application has not written
	RcvNxt seqnum.Value // first byte not received
	Ack    seqnum.Value // first byte not acknowledged to the client
	Unread uint32       // bytes received that the application has not read
}

// Fin is how far the server's own FIN has come.
type Fin uint8

// The stages of a FIN.
const (
	FinNone Fin = iota
	FinQueued
	FinSent
	FinSeen // acknowledged
)

func (f Fin) String() string { return [...]string{"none", "queued", "sent", "acknowledged"}[f] }

// Down is the stream from server to client, in bytes.
type Down struct {
	Una, Nxt, Written uint64
	Fin               Fin
	State             State // of the endpoint
}

// Up is the stream from client to server, in bytes.
type Up struct {
	Read, Ack, Next uint64
	Fin, FinAcked   bool // the client's FIN came; and was acknowledged
}

// Connection is how the offsets of a session map to sequence numbers.
type Connection struct{ Up, Down Stream }

// Place turns TCP's numbers into offsets. read and written say where the
// application was, in offsets; Counters finds them.
func Place(e Endpoint, read, written uint64) (Connection, Up, Down, error) {
	if !e.State.Movable() {
		return Connection{}, Up{}, Down{}, &StateError{e.State}
	}
	var c Connection
	down, err := c.placeDown(e, written)
	if err != nil {
		return Connection{}, Up{}, Down{}, err
	}
	up, err := c.placeUp(e, read)
	return c, up, down, err
}

func (c *Connection) placeDown(e Endpoint, written uint64) (Down, error) {
	if !e.Una.LessEq(e.Nxt) || !e.Nxt.LessEq(e.Write) {
		return Down{}, &InconsistentError{"send queue", fmt.Sprintf("una %d, nxt %d, write %d", e.Una, e.Nxt, e.Write), "in this order"}
	}
	d := Down{Written: written, State: e.State}
	end := e.Write // behind the last byte
	if e.State.OwnFin() {
		end--
		d.Fin = FinQueued
		if e.Nxt == e.Write {
			d.Fin = FinSent
		}
		if e.Una == e.Write {
			d.Fin = FinSeen
		}
		if (d.Fin == FinSeen) != e.State.OwnFinAcked() {
			return Down{}, &InconsistentError{"own FIN", d.Fin.String(), "what " + e.State.String() + " says"}
		}
	}
	c.Down = Stream{end - seqnum.Value(written)}
	var ok, ok2 bool
	d.Una, ok = c.Down.Offset(least(e.Una, end), written)
	d.Nxt, ok2 = c.Down.Offset(least(e.Nxt, end), written)
	if !ok || !ok2 {
		return Down{}, &InconsistentError{"send queue", fmt.Sprintf("%d bytes", e.Una.Size(end)), fmt.Sprintf("at most the %d ever written", written)}
	}
	return d, nil
}

func (c *Connection) placeUp(e Endpoint, read uint64) (Up, error) {
	u := Up{Read: read, Next: read + uint64(e.Unread), Fin: e.State.PeerFin()}
	end := e.RcvNxt
	if u.Fin {
		end--
		u.FinAcked = e.Ack == e.RcvNxt
	}
	if !e.Ack.LessEq(e.RcvNxt) {
		return Up{}, &InconsistentError{"last acknowledgement", fmt.Sprint(e.Ack), fmt.Sprintf("at most rcv_nxt %d", e.RcvNxt)}
	}
	c.Up = Stream{end - seqnum.Value(u.Next)}
	var ok bool
	if u.Ack, ok = c.Up.Offset(least(e.Ack, end), u.Next); !ok {
		return Up{}, &InconsistentError{"last acknowledgement", fmt.Sprintf("%d bytes back", e.Ack.Size(end)), fmt.Sprintf("at most the %d ever received", u.Next)}
	}
	return u, nil
}

// least returns v, or end where v counts a FIN behind it.
func least(v, end seqnum.Value) seqnum.Value {
	if end.Less(v) {
		return end
	}
	return v
}
