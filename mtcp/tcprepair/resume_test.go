// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/mtcp"
)

// Whoever lets a socket live dies at any step of it; the next one goes on with that
// socket, whatever state it is to come into, and no byte is lost or doubled.
func TestResumeAtEachStep(t *testing.T) {
	steps := []func(r *Restored) error{
		func(r *Restored) error { return hear(r.fd) },
		func(r *Restored) error { return r.speak() },
		func(r *Restored) error { out := r.dump.Out[r.dump.sent():]; return r.send(out[:len(out)/2]) },
		func(r *Restored) error { out := r.dump.Out[r.dump.sent():]; return r.send(out[len(out)/2:]) },
		func(r *Restored) error { return r.buffers() },
		func(r *Restored) error { return r.walk() },
	}
	w := newWorld(t, false)
	for _, s := range []mtcp.State{mtcp.Established, mtcp.CloseWait, mtcp.FinWait1, mtcp.LastAck} {
		for n := range len(steps) + 1 {
			t.Run(fmt.Sprintf("%s after %d", s, n), func(t *testing.T) {
				w.in(t)
				client, server := w.connect("tcp4")
				half(t, s, client, server)
				f, d := w.freeze(server)
				d.Resend() // so that there are bytes that were never sent
				first := w.restore(d)
				w.switchTo(1 - w.at)
				w.servers[w.at].Do(func() error {
					for _, step := range steps[:n] {
						if err := step(first); err != nil {
							return err
						}
					}
					return nil
				})
				again, err := Parse(d.AppendBinary(nil), 1<<30)
				if err != nil {
					t.Fatal(err)
				}
				next, err := w.stacks[w.at].Resume(first.FD(), again)
				if err != nil {
					t.Fatal(err)
				}
				conn := w.live(next)
				if err := errors.Join(f.Discard(), server.Close()); err != nil {
					t.Fatal(err)
				}
				do(t, client, hear)
				finish(t, s, client, conn)
			})
		}
	}
}

// resumed freezes a connection, restores it at the other server, where the process that
// did so dies and another one goes on, and switches the client to that.
func (w *world) resumed(server *net.TCPConn) (*Frozen, *Restored) {
	w.t.Helper()
	f, d := w.freeze(server)
	next, err := w.stacks[1-w.at].Resume(w.restore(d).FD(), d)
	if err != nil {
		w.t.Fatal(err)
	}
	w.switchTo(1 - w.at)
	return f, next
}

// One that was to live nowhere ends as silently as if nobody had died.
func TestResumeToAbandon(t *testing.T) {
	w := newWorld(t, false)
	client, server := w.connect("tcp4")
	f, next := w.resumed(server)
	next.Abandon()
	w.switchTo(1 - w.at)
	if err := f.Thaw(); err != nil {
		t.Fatal(err)
	}
	exchange(t, client, server)
}

// One that cannot go on, and lives nowhere else, is not left without a word.
func TestResumeToReset(t *testing.T) {
	w := newWorld(t, false)
	client, server := w.connect("tcp4")
	f, next := w.resumed(server)
	if err := errors.Join(next.Reset(), next.Reset()); err != nil {
		t.Error(err)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the client: %v", err)
	}
	if err := errors.Join(f.Discard(), server.Close()); err != nil {
		t.Error(err)
	}
}
