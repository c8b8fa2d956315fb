// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"

	"lazystate/internal/netrig"
	"lazystate/internal/seqnum"
)

// open starts an agent.
func open(t *testing.T, h *netrig.Host, cfg Config) *Agent {
	t.Helper()
	cfg.Interfaces = []string{netrig.Dev}
	var a *Agent
	h.Do(func() (err error) { a, err = Open(cfg); return err })
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func (n net3) open(t *testing.T, hook Hook) *Agent { return open(t, n.client, Config{Hook: hook}) }

// exchange sends seeded bytes both ways at once and compares.
func exchange(t *testing.T, a, b *net.TCPConn, size int) {
	t.Helper()
	var seed [32]byte
	up, down := make([]byte, size), make([]byte, size)
	src := rand.NewChaCha8(seed)
	src.Read(up)
	src.Read(down)
	errs := make(chan error, 4)
	send := func(c *net.TCPConn, b []byte) { _, err := c.Write(b); errs <- err }
	receive := func(c *net.TCPConn, want []byte) {
		got := make([]byte, len(want))
		n, err := io.ReadFull(c, got)
		if err == nil && !bytes.Equal(got, want) {
			err = fmt.Errorf("other bytes")
		}
		if err != nil {
			err = fmt.Errorf("%s after %d of %d bytes: %w", c.RemoteAddr(), n, len(want), err)
		}
		errs <- err
	}
	go send(a, up)
	go send(b, down)
	go receive(a, down)
	go receive(b, up)
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

// A client that believes to talk to S1 talks to S2, both ways, large segments
// and small ones, by either hook and either protocol, with numbers that a path
// has shifted too, and across the wrap of the sequence space.
func TestRealTCPThroughTheRewrite(t *testing.T) {
	for _, hook := range []Hook{TCX, Clsact} {
		if hook == TCX && !haveTCX(t) {
			continue
		}
		for _, v6 := range []bool{false, true} {
			for _, shift := range []Shift{{}, {Up: 0x12345678, Down: 0xfedcba98}} {
				t.Run(fmt.Sprintf("%s v6 %t shift %x", hook, v6, shift.Up), func(t *testing.T) {
					throughRewrite(t, hook, v6, shift)
				})
			}
		}
	}
}

func throughRewrite(t *testing.T, hook Hook, v6 bool, shift Shift) {
	n := newNet3(t)
	a := n.open(t, hook)
	client, s1, s2 := clientV4, s1V4, s2V4
	if v6 {
		client, s1, s2 = clientV6, s1V6, s2V6
	}
	f := Flow{netip.AddrPortFrom(client, 40000), netip.AddrPortFrom(s1, 80)}
	moved := Flow{netip.AddrPortFrom(client, 40001), netip.AddrPortFrom(s2, 8080)}
	const up, down = seqnum.Value(0xffff0000), seqnum.Value(0xfffffff0)
	c := plant(t, n.client, half{f.Local, f.Remote, up, down})
	s := plant(t, n.s2, half{moved.Remote, moved.Local, down.Add(shift.Down), up.Add(shift.Up)})

	n.client.Do(func() error {
		if _, err := a.Begin(f, Try{Server: moved.Remote, Local: moved.Local, For: hang}); err != nil {
			return err
		}
		_, err := a.Switch(f, shift)
		return err
	})
	// S2's first word opens the way out.
	if _, err := s.Write([]byte{42}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		st, _ := a.Stats()
		t.Fatalf("%v %+v", err, st)
	}
	if got, err := a.Session(f); err != nil || got.State != Moved || got.Wire != moved || got.Moves != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	exchange(t, c, s, 4<<20)
	st, err := a.Stats()
	if err != nil || st.RewrittenIn == 0 || st.RewrittenOut == 0 || st.Opened != 1 || st.Refused != 0 {
		t.Errorf("%+v, %v", st, err)
	}
	t.Logf("%+v", st)
}
