// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"slices"
	"sync"
	"testing"
	"time"

	"lazystate/mtcp"
)

// BenchmarkOrders compares both policies and both orders (§3.6.5): clients are asked
// behind the takeover, or output goes out before it and nobody is asked. Fifty
// clients have lost answers with the server.
//
//	go test -run - -bench Orders -benchtime 20x ./mtcp/salvage
func BenchmarkOrders(b *testing.B) {
	for _, policy := range []mtcp.Policy{mtcp.Minimal, mtcp.Whole} {
		for _, silent := range []bool{false, true} {
			b.Run(names(policy.String(), "the dissertation's order", silent), func(b *testing.B) {
				var firsts []time.Duration
				var live, bytes float64
				for b.Loop() {
					w := newWorld(b, "ipv4", adding)
					w.cfg.Policy, w.cfg.NotAsking = policy, silent
					r, came := w.lostAnswers(50)
					firsts = append(firsts, came...)
					live += float64(lives(r).Microseconds())
					bytes += float64(r.Bytes)
				}
				slices.Sort(firsts)
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(live/float64(b.N), "us-last-lives")
				b.ReportMetric(float64(firsts[len(firsts)/2].Microseconds()), "us-first-byte")
				b.ReportMetric(float64(firsts[len(firsts)-1].Microseconds()), "us-worst-byte")
				b.ReportMetric(bytes/float64(b.N), "bytes-read")
			})
		}
	}
}

// lostAnswers salvages n sessions, each of which has answers under way to its
// client, and says when each of them has come, since the salvage began.
func (w *world) lostAnswers(n int) (*Report, []time.Duration) {
	clients := make([]*adder, n)
	for i := range clients {
		clients[i] = w.dial()
		clients[i].ask(10)
		clients[i].rest()
		clients[i].deaf(true)
		clients[i].ask(200)
	}
	w.die(nil)
	for _, a := range clients {
		a.deaf(false)
	}
	came, began := make([]time.Duration, n), time.Now()
	var all sync.WaitGroup
	for i, a := range clients {
		all.Go(func() {
			a.hear(1)
			came[i] = time.Since(began)
		})
	}
	r := w.salvage()
	all.Wait()
	return r, came
}
