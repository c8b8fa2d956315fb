// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"lazystate/mtcp/wire"
	"lazystate/tools/lab/link"
)

// wired puts a cable between a host and all others, which can be made a bad one.
func (w *world) wired(host string) *link.Link {
	w.t.Helper()
	const far = "br1"
	w.rig.Apart(host, far)
	l, err := link.Open(link.Options{In: w.rig.Wire.Try, Near: "br0", Far: far, Seed: 7})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = l.Close() })
	return l
}

// bad loses, doubles and reorders a tenth of what passes, each.
var bad = link.Faults{Loss: 0.1, Duplicate: 0.1, Reorder: 0.1}

// The link of any of the three is bad while a session moves to and fro: what the client
// and the servers say to each other is lost, comes twice, or late. Whatever becomes of
// an attempt, the session goes on, and every byte arrives once.
func TestMovesOverABadLink(t *testing.T) {
	for _, host := range []string{"client", "s1", "s2"} {
		t.Run(host, func(t *testing.T) {
			w := newWorld(t, false)
			cable := w.wired(host)
			a := w.agent("--patience", hang.String())
			end := w.download(own(0, false).Addr(), long)
			a.flow()
			w.movesOver(t, cable, func() error {
				l, to := a.flow(), own(1, false)
				if netip.MustParseAddrPort(l.At) == to {
					to = own(0, false)
				}
				return a.move(l, to)
			})
			end()
		})
	}
}

// movesOver has four moves succeed while a cable is bad, each tried until it does.
func (w *world) movesOver(t *testing.T, cable *link.Link, move func() error) {
	t.Helper()
	if err := cable.Set(bad); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		w.sites["s1"].await("a move", func() bool {
			err := move()
			if err != nil {
				t.Log(err)
			}
			return err == nil
		})
	}
	t.Logf("%+v", cable.Stats())
	if err := cable.Set(link.Faults{}); err != nil {
		t.Fatal(err)
	}
}

// So do those moves that a server begins: its address goes, or a gateway, whose link may be
// the bad one, sends its client's traffic elsewhere, or its client's agent is advised to go.
func TestServersMoveOverABadLink(t *testing.T) {
	for _, c := range []struct{ by, host string }{
		{"takeover", "client"}, {"takeover", "s1"}, {"takeover", "s2"}, {"gateway", "router"}, {"gateway", "s1"}, {"gateway", "s2"},
		{"client", "client"}, {"client", "s1"}, {"client", "s2"},
	} {
		t.Run(c.by+" "+c.host, func(t *testing.T) {
			var w *world
			from, what := own(0, false).Addr(), func(id string) string { return id }
			switch c.by {
			case "gateway":
				w = newGated(t)
			case "client":
				w = newWorld(t, false)
			default:
				w = newWorld(t, false)
				from, what = w.addr, func(string) string { return w.addr.String() }
			}
			cable := w.wired(c.host)
			if c.by == "client" {
				w.agent("--patience", hang.String())
			}
			end := w.download(from, long)
			w.only()
			w.movesOver(t, cable, func() error {
				at, id := w.only()
				return at.ctl("move", "--by", c.by, "--to", w.other(at), what(id))
			})
			end()
		})
	}
}

// The client's word has come to S2, and nothing comes back: for longer than S2 says
// unasked that it has arrived, and neither the client nor its server has to say anything
// by itself. The session is there when S2 can be heard again.
func TestArrivalIsNotHeard(t *testing.T) {
	w := newWorld(t, false)
	a := w.agent("--patience", "10s") // S2 waits as long; the kernels' keep-alives are of 15 s
	w.addr = own(0, false).Addr()
	finish := w.idle()
	l, s2 := a.flow(), w.sites["s2"]
	w.rig.Wire.Do(func() error { return mute("s2") })
	result := make(chan error, 1)
	go func() { result <- a.move(l, own(1, false)) }()
	s2.await("the session", func() bool { return len(s2.ls()) == 1 })
	time.Sleep(2 * time.Second)
	if l := a.connections(); len(l) != 1 || !l[0].Moving {
		t.Errorf("it has heard: %v", l)
	}
	w.rig.Wire.Do(unmute)
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	finish()
	s2.await("the end", s2.served)
}

// The client's host hears that S2 has arrived, and nothing that S2's socket says: that says
// it again, for a client's TCP waits for a timer of its own otherwise.
func TestFirstWordIsRepeated(t *testing.T) {
	w := newWorld(t, false)
	a := w.agent("--patience", "20s")
	w.addr = own(0, false).Addr()
	finish := w.idle()
	l, s2 := a.flow(), w.sites["s2"]
	w.rig.Wire.Do(func() error { return muteWord("s2") })
	if err := a.move(l, own(1, false)); err != nil {
		t.Fatal(err)
	}
	s2.await("its word, five times", func() bool {
		var n uint64
		w.rig.Wire.Do(func() (err error) { n, err = lost(); return err })
		return n >= 5
	})
	w.rig.Wire.Do(unmute)
	finish()
	s2.await("the end", s2.served)
}

const muted = "muted"

// mute loses what comes from the service at a port of the wire, but for what begins or
// ends a handshake.
func mute(device string) error {
	return lose(device,
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{byte(wire.SYN | wire.RST)}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{0}})
}

// muteWord loses what has a byte to say, as a socket's first word has (tcprepair), or
// another odd number: no option of M-TCP, and no keep-alive.
func muteWord(device string) error {
	const options, experiment, length = 20, 253, 3 // of IPv4, the last byte
	return lose(device,
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: options, Len: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{experiment}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: length, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{1}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{1}})
}

// lose loses, and counts, what comes from the service at a port of the wire and is what
// more says.
func lose(device string, more ...expr.Any) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := &nftables.Table{Name: muted, Family: nftables.TableFamilyNetdev}
	chain := c.AddChain(&nftables.Chain{Name: "in", Table: c.AddTable(table), Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookIngress,
		Priority: nftables.ChainPriorityFilter, Device: device})
	rule := append([]expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, port)},
	}, more...)
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(rule, &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop})})
	return c.Flush()
}

// lost is how many segments were.
func lost() (n uint64, err error) {
	c, err := nftables.New()
	if err != nil {
		return 0, err
	}
	table := &nftables.Table{Name: muted, Family: nftables.TableFamilyNetdev}
	rules, err := c.GetRules(table, &nftables.Chain{Name: "in", Table: table})
	for _, r := range rules {
		for _, e := range r.Exprs {
			if counted, ok := e.(*expr.Counter); ok {
				n += counted.Packets
			}
		}
	}
	return n, err
}

func unmute() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	c.DelTable(&nftables.Table{Name: muted, Family: nftables.TableFamilyNetdev})
	return c.Flush()
}
