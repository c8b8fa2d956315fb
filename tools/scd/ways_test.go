// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"
	"testing"

	"lazystate/mtcp/steer"
	"lazystate/tools/lab"
)

// ways are the three to have a client's segments go elsewhere.
var ways = []string{"takeover", "gateway", "client"}

// newWay is a world whose one session move takes from S1 to S2 by a way, whatever service
// it is of; w.addr is where the client connects to.
func newWay(t *testing.T, by string, v6, half bool) (w *world, move func() error) {
	t.Helper()
	if by != "takeover" {
		if err := steer.Probe(); err != nil {
			lab.Skip(t, err.Error())
		}
	}
	w = &world{t: t, names: []string{"s1", "s2"}}
	if by == "gateway" {
		w = gatedBy(t, &gate{dir: t.TempDir()})
	}
	w.half = half
	w.build(v6)
	s1 := w.sites["s1"]
	if by == "takeover" {
		return w, func() error { return s1.ctl("move", "--to", "s2", w.addr.String()) }
	}
	w.addr = own(0, v6).Addr()
	if by == "gateway" {
		return w, func() error { return s1.ctl("move", "--by", by, "--to", "s2", s1.ls()[0].ID) }
	}
	a := w.agent("--patience", "20s")
	return w, func() error {
		l := a.connection()
		return a.move(l, netip.AddrPortFrom(own(1, v6).Addr(), netip.MustParseAddrPort(l.At).Port()))
	}
}
