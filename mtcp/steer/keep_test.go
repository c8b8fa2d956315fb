// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"lazystate/internal/netrig"
)

// What a client sends while its session moves at a gateway comes to the new
// server, or to the old one if nothing came of it, though the client is cut off
// and cannot send it again.
func TestGatewayKeepsWhatItHoldsBack(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, moves := range []bool{false, true} {
			t.Run(fmt.Sprintf("v6 %t moves %t", v6, moves), func(t *testing.T) { newRouted(t).keeps(t, v6, moves) })
		}
	}
}

func (n routed) keeps(t *testing.T, v6, moves bool) {
	client, s1, s2 := farV4, s1V4, s2V4
	if v6 {
		client, s1, s2 = farV6, s1V6, s2V6
	}
	f := Flow{netip.AddrPortFrom(client, 40000), netip.AddrPortFrom(s1, 80)}
	to := Flow{netip.AddrPortFrom(client, 40001), netip.AddrPortFrom(s2, 8080)}
	a := open(t, n.router, Config{Gateway: true})
	c := plant(t, n.client, half{f.Local, f.Remote, 0xfffff000, 5})
	old := plant(t, n.s1, half{f.Remote, f.Local, 5, 0xfffff000})
	next := plant(t, n.s2, half{to.Remote, to.Local, 5, 0xfffff000})
	n.router.Do(func() error {
		_, err := a.Begin(f, Try{Server: to.Remote, Local: to.Local, For: hang})
		return err
	})
	sent := make([]byte, 9000)
	for i := range sent {
		sent[i] = pattern(i)
	}
	for i := 0; i < len(sent); i += 1000 { // one segment after the other: the last one is at the router when as many are
		if _, err := c.Write(sent[i:][:1000]); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(hang); ; time.Sleep(100 * time.Microsecond) {
			st, err := a.Stats()
			if err != nil || time.Now().After(end) {
				t.Fatalf("after %d bytes: %+v, %v", i, st, err)
			}
			if st.Kept > uint64(i/1000) {
				break
			}
		}
	}
	n.client.Do(func() error {
		l, err := netlink.LinkByName(netrig.Dev)
		if err != nil {
			return err
		}
		return netlink.LinkSetDown(l)
	})
	server := old
	if moves {
		server = next
		n.router.Do(func() error { _, err := a.Switch(f, Shift{}); return err })
		if _, err := next.Write([]byte("!")); err != nil {
			t.Fatal(err)
		}
	} else if err := a.FallBack(f); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(sent))
	if !reads(t, server, got) || string(got) != string(sent) {
		t.Error("other bytes came")
	}
	if st, err := a.Stats(); err != nil || st.Kept == 0 || st.KeptLost != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}
