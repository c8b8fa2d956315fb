// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"
	"testing"

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
			if err := cable.Set(bad); err != nil {
				t.Fatal(err)
			}
			for range 4 {
				w.sites["s1"].await("a move", func() bool {
					l, to := a.flow(), own(1, false)
					if netip.MustParseAddrPort(l.At) == to {
						to = own(0, false)
					}
					err := a.move(l, to)
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
			end()
		})
	}
}
