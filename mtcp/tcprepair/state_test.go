// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/mtcp"
)

const (
	unread  = 3000 // bytes that move unread
	written = 5000 // bytes that move unacknowledged
	later   = 2000 // bytes that follow, where the stream is still open
)

// half brings a connection into a state, with bytes in both queues.
func half(t *testing.T, s mtcp.State, client, server *net.TCPConn) {
	t.Helper()
	if s == mtcp.CloseWait || s == mtcp.LastAck {
		sendPart(t, client, upStream, 0, unread)
		if err := client.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		await(t, "the client's FIN", func() bool { return stateOf(t, server) == mtcp.CloseWait })
	}
	if s != mtcp.FinWait2 {
		do(t, client, (&Stack{}).deafen) // acknowledges nothing
	}
	sendPart(t, server, downStream, 0, written)
	if s.OwnFin() {
		if err := server.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	if s == mtcp.Closing {
		sendPart(t, client, upStream, 0, unread)
		if err := client.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	} else if !s.PeerFin() {
		sendPart(t, client, upStream, 0, unread)
	}
	await(t, s.String(), func() bool { return stateOf(t, server) == s })
	await(t, "the unread bytes", func() bool { return length(t, server, unix.SIOCINQ) == unread })
}

// Section 7 of what was measured: every state is moved with bytes in both
// queues, and both ends finish as TCP would have.
func TestStates(t *testing.T) {
	states := []mtcp.State{mtcp.Established, mtcp.CloseWait, mtcp.FinWait1, mtcp.FinWait2, mtcp.Closing, mtcp.LastAck}
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			w := newWorld(t, f.v6)
			for _, s := range states {
				t.Run(s.String(), func(t *testing.T) {
					w.in(t)
					client, server := w.connect(f.network)
					half(t, s, client, server)
					server = w.move(server)
					if s != mtcp.FinWait2 {
						do(t, client, hear)
					}
					finish(t, s, client, server)
				})
			}
		})
	}
}

// A segment that was past the filter ends the connection: nothing is left to move,
// and what was received stays to be read.
func TestEndsWhileFrozen(t *testing.T) {
	w := newWorld(t, false)
	client, server := w.connect("tcp4")
	half(t, mtcp.LastAck, client, server)
	f := fd(t, server, w.stacks[w.at].Freeze)
	do(t, server, hear)
	do(t, client, hear)
	await(t, "the end", func() bool { return !stateOf(t, server).Movable() })
	var over *mtcp.StateError
	if _, err := f.Dump(); !errors.As(err, &over) {
		t.Errorf("dump: %v", err)
	}
	if err := f.Thaw(); err != nil {
		t.Fatal(err)
	}
	getPart(t, server, upStream, 0, unread)
	wantEOF(t, server)
}

// finish reads and writes to the end of both streams.
func finish(t *testing.T, s mtcp.State, client, server *net.TCPConn) {
	t.Helper()
	getPart(t, client, downStream, 0, written)
	getPart(t, server, upStream, 0, unread)
	if !s.PeerFin() {
		sendPart(t, client, upStream, unread, later)
		getPart(t, server, upStream, unread, later)
		if err := client.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	wantEOF(t, server)
	if !s.OwnFin() {
		sendPart(t, server, downStream, written, later)
		getPart(t, client, downStream, written, later)
		if err := server.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	wantEOF(t, client)
	await(t, "the end at the server", func() bool { return !stateOf(t, server).Movable() })
}
