// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"io"
	"net"
	"net/netip"
	"testing"

	"lazystate/internal/netrig"
)

// ways are those of a client's segments that are compared: no agent, one that
// has no session of this flow, and one that rewrites.
var ways = []struct {
	name  string
	agent bool
	hook  Hook
	moved bool
}{{"none", false, Auto, false}, {"miss", true, Auto, false}, {"tcx", true, TCX, true}, {"clsact", true, Clsact, true}}

// pairOf is a connection of a client whose segments go one of the ways.
func pairOf(b *testing.B, agent bool, hook Hook, moved bool) (c, s *net.TCPConn) {
	b.Helper()
	n := newNet3(b)
	f := Flow{netip.AddrPortFrom(clientV4, 40000), netip.AddrPortFrom(s1V4, 80)}
	to := Flow{netip.AddrPortFrom(clientV4, 40001), netip.AddrPortFrom(s2V4, 8080)}
	at, end := n.s1, f
	if moved {
		at, end = n.s2, to
	}
	c, s = plant(b, n.client, half{f.Local, f.Remote, 5, 9}), plant(b, at, half{end.Remote, end.Local, 9, 5})
	if !agent {
		return c, s
	}
	var a *Agent
	n.client.Do(func() (err error) {
		if a, err = Open(Config{Interfaces: []string{netrig.Dev}, Hook: hook}); err != nil || !moved {
			return err
		}
		if _, err = a.Begin(f, Try{Server: to.Remote, Local: to.Local}); err == nil {
			_, err = a.Switch(f, Shift{})
		}
		return err
	})
	b.Cleanup(func() { a.Close() })
	if _, err := s.Write([]byte("!")); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		b.Fatal(err)
	}
	return c, s
}

// 100 bytes to and fro: what the agent costs a client that waits for answers.
func BenchmarkPingPong(b *testing.B) {
	for _, w := range ways {
		b.Run(w.name, func(b *testing.B) {
			c, s := pairOf(b, w.agent, w.hook, w.moved)
			go func() { _, _ = io.Copy(s, s) }()
			buf := make([]byte, 100)
			for b.Loop() {
				if _, err := c.Write(buf); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A download: what it costs one that does not.
func BenchmarkBulk(b *testing.B) {
	for _, w := range ways {
		b.Run(w.name, func(b *testing.B) {
			c, s := pairOf(b, w.agent, w.hook, w.moved)
			buf := make([]byte, 1<<20)
			go func() {
				for {
					if _, err := s.Write(buf); err != nil {
						return // closed
					}
				}
			}()
			got := make([]byte, len(buf))
			b.SetBytes(int64(len(got)))
			for b.Loop() {
				if _, err := io.ReadFull(c, got); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
