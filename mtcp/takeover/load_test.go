// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"lazystate/internal/netrig"
	"lazystate/tools/lab"
)

// Sessions that read and write as fast as they can go back and forth with their
// address at random moments, and close both halves at the end.
func TestTakeoverUnderLoad(t *testing.T) {
	const sessions = 5
	hops := 8
	if lab.InGuest() {
		hops = 4 // under emulation
	}
	for family := range families {
		t.Run(family, func(t *testing.T) {
			w := newWorld(t, family)
			listeners := []*net.TCPListener{w.listen(0, 8000), w.listen(1, 8000)}
			rng := rand.New(rand.NewPCG(7, uint64(len(family))))
			var over atomic.Bool
			var clients, servers []*netrig.Pump
			for i := range uint64(sessions) {
				c := &netrig.Pump{Conn: w.dial(8000), InStream: 2, OutStream: 1, Over: &over, Seed: i}
				s := &netrig.Pump{Conn: w.accept(listeners[0]), InStream: 1, OutStream: 2, Over: &over, Seed: 100 + i}
				c.Start()
				s.Start()
				clients, servers = append(clients, c), append(servers, s)
			}
			for hop := range hops {
				time.Sleep(time.Duration(rng.IntN(20_000)) * time.Microsecond)
				var conns []*net.TCPConn
				for _, s := range servers {
					s.Stop(t)
					conns = append(conns, s.Conn)
				}
				for i, c := range w.take(conns) {
					servers[i] = servers[i].On(c)
					servers[i].Start()
				}
				if hop == hops-1 {
					over.Store(true)
				}
			}
			for i, c := range clients {
				c.Finish(t)
				servers[i].Finish(t)
				if c.In != servers[i].Out || servers[i].In != c.Out {
					t.Errorf("client read %d of %d, server %d of %d", c.In, servers[i].Out, servers[i].In, c.Out)
				}
			}
			t.Logf("session 0: %d bytes up, %d down", servers[0].In, clients[0].In)
		})
	}
}
