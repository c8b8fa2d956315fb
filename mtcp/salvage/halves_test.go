// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
)

// closeWrite ends what the client sends.
func (a *adder) closeWrite() {
	a.t.Helper()
	if err := a.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		a.t.Fatal(err)
	}
}

// ends checks that the server has ended what it sends.
func (a *adder) ends() {
	a.t.Helper()
	if n, err := a.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		a.t.Fatalf("%d bytes, %v, and no end", n, err)
	}
}

// slowly adds up as adding does, and at the end of what its client sends is busy,
// but at the recovery node.
var slowly = process{"adder", func(s *server, c *keeper.Client) error {
	return s.serve(c, func(conn *cbox.Conn) error {
		err := adds(conn)
		if errors.Is(err, io.EOF) && s.Name == "s1" {
			<-s.w.t.Context().Done()
		}
		return errors.Join(err, conn.Close())
	})
}}

// The client has ended what it sends, and waits for answers: they have come, or
// were lost with the server, which had read the end of it, or had not.
func TestClientHasEnded(t *testing.T) {
	for family := range families {
		for _, lost := range []bool{false, true} {
			for _, before := range []bool{false, true} {
				for _, silent := range []bool{false, true} {
					t.Run(names(family, "answers lost", lost, "ends before", before, "not asking", silent), func(t *testing.T) {
						w := newWorld(t, family, slowly)
						w.cfg.NotAsking = silent
						a := w.dial()
						a.ask(20)
						a.hear(10)
						a.deaf(lost)
						a.ask(30)
						if before {
							a.closeWrite()
						}
						w.settled(8 * 50)
						if !lost {
							a.rest()
						}
						w.die(nil)
						if !before {
							a.closeWrite()
						}
						a.deaf(false)
						if r := w.salvage(); r.Saved() != 1 {
							t.Fatalf("%+v", r.Sessions)
						}
						a.rest()
						a.ends()
					})
				}
			}
		}
	}
}

// once answers the first number and ends what it sends; it goes on adding up and
// tells the test the sum when the client has ended, too.
func once(totals chan<- uint64) process {
	return process{"once", func(s *server, c *keeper.Client) error {
		return s.serve(c, func(conn *cbox.Conn) error {
			buf := make([]byte, 8)
			for n, sum := 0, imported(conn.Session); ; n++ {
				if _, err := io.ReadFull(conn, buf); err != nil {
					if !errors.Is(err, io.EOF) {
						return errors.Join(err, conn.Close())
					}
					totals <- sum
					return conn.Close()
				}
				if sum += binary.LittleEndian.Uint64(buf); sum == 1 {
					if _, err := conn.Write(buf); err != nil {
						return err
					}
					if err := conn.CloseWrite(); err != nil {
						return err
					}
				}
				if n%3 == 2 {
					if err := conn.Export(binary.LittleEndian.AppendUint64(nil, sum)); err != nil {
						return err
					}
				}
			}
		})
	}}
}

// The server has ended what it sends: its FIN was acknowledged, or is on its way
// with data before it. What the client says goes on to be heard.
func TestServerHasEnded(t *testing.T) {
	for family := range families {
		for _, lost := range []bool{false, true} {
			for _, silent := range []bool{false, true} {
				t.Run(names(family, "FIN lost", lost, "not asking", silent), func(t *testing.T) {
					totals := make(chan uint64, 2)
					w := newWorld(t, family, once(totals))
					w.cfg.NotAsking = silent
					a := w.dial()
					a.deaf(lost)
					a.ask(1)
					if !lost {
						a.hear(1)
						a.ends()
					}
					w.settled(8)
					a.ask(10)
					w.die(nil)
					a.deaf(false)
					a.ask(7) // into nothing
					if r := w.salvage(); r.Saved() != 1 {
						t.Fatalf("%+v", r.Sessions)
					}
					if lost {
						a.hear(1)
						a.ends()
					}
					a.ask(5)
					// A socket that has heard both FINs is over: who goes on with it has to
					// be there before.
					w.read(w.s2, 8*23)
					a.closeWrite()
					select {
					case sum := <-totals:
						if sum != 23*24/2 {
							t.Errorf("the sum is %d", sum)
						}
					case <-time.After(hang):
						t.Error("the server does not hear the end")
					}
				})
			}
		}
	}
}
