// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

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
	if _, err := c.Write(sent); err != nil {
		t.Fatal(err)
	}
	unsent := func() (n int) {
		raw, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if e := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQNSD) }); e != nil || err != nil {
			t.Fatal(e, err)
		}
		return n
	}
	for end := time.Now().Add(hang); unsent() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d bytes are not sent", unsent())
		}
	}
	time.Sleep(20 * time.Millisecond) // on its way to the router
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
