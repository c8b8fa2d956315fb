// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/netrig"
)

// openServer is one at s1, which the test closes.
func (n net3) openServer(cfg ServerConfig) (s *Server) {
	n.s1.Do(func() (err error) { s, err = OpenServer(cfg); return err })
	return s
}

// heldIn waits until so many segments have been held.
func heldIn(t *testing.T, s *Server, atLeast uint64) {
	t.Helper()
	for end := time.Now().Add(hang); ; time.Sleep(time.Millisecond) {
		st, err := s.Stats()
		if err != nil {
			t.Fatal(err)
		}
		if st.HeldIn >= atLeast {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d segments are held, not %d", st.HeldIn, atLeast)
		}
	}
}

// What is on hold at a gate stays so when its process ends, and the next one has it;
// when nothing is, nothing is left. It stands beside another server's programs, and
// neither is in the other's way.
func TestGateOutlivesItsProcess(t *testing.T) {
	for _, hook := range []Hook{TCX, Clsact} {
		t.Run(hook.String(), func(t *testing.T) {
			if hook == TCX && !haveTCX(t) {
				t.Skip("this kernel has no TCX (since 6.6)")
			}
			n := newNet3(t)
			cfg := ServerConfig{Interfaces: []string{netrig.Dev}, Hook: hook, Pin: bpffs(t), Gate: true}
			gate := n.openServer(cfg)
			beside := n.openServer(ServerConfig{Interfaces: []string{netrig.Dev}, Hook: hook})
			flow := func(port uint16) Flow {
				return Flow{netip.AddrPortFrom(s1V4, 80), netip.AddrPortFrom(clientV4, port)}
			}
			says := func(port uint16) *net.TCPConn { // into nothing: there is no socket at s1
				f := flow(port)
				c := plant(t, n.client, half{f.Remote, f.Local, 1000, 2000})
				if _, err := c.Write([]byte("!")); err != nil {
					t.Fatal(err)
				}
				return c
			}
			if err := errors.Join(gate.Hold(flow(4000), DropIn, time.Hour), gate.Hold(flow(4001), DropIn, time.Nanosecond), beside.Hold(flow(4002), DropIn, 0)); err != nil {
				t.Fatal(err)
			}
			if err := gate.Close(); err != nil {
				t.Fatal(err)
			}
			c := says(4000)
			says(4002)
			heldIn(t, beside, 1)
			gate = n.openServer(cfg)
			heldIn(t, gate, 1)
			if held, over, err := gate.all(); err != nil || len(held) != 1 || held[0] != flow(4000) || len(over) != 1 {
				t.Errorf("it holds %v, and no more %v, %v", held, over, err)
			}
			if err := gate.Release(flow(4000)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
				t.Errorf("let go of, the client hears %v", err)
			}
			if err := gate.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(cfg.Pin); !os.IsNotExist(err) {
				t.Errorf("%s is left: %v", cfg.Pin, err)
			}
			st, err := beside.Stats()
			if err != nil {
				t.Fatal(err)
			}
			heldIn(t, beside, st.HeldIn+1) // it is said again and again
			if err := beside.Close(); err != nil {
				t.Fatal(err)
			}
			clean(t, n.s1)
		})
	}
}
