// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"lazystate/internal/netrig"
	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/extract/extracttest"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/tcprepair"
	"lazystate/tools/lab/link"
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

// BenchmarkWindow is what it is worth that the congestion window is kept (§3.6.5, step 6;
// Config.Fresh): how long a client that is 40 ms away waits for the next megabyte of a
// download, since its server's machine has died with a window of 200 segments.
//
//	go test -run - -bench Window -benchtime 10x ./mtcp/salvage
func BenchmarkWindow(b *testing.B) {
	for _, fresh := range []bool{false, true} {
		b.Run(names("kept", "as of a new connection", fresh), func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				w := newWorld(b, "ipv4", pouring)
				w.cfg.Fresh = fresh
				w.away(20 * time.Millisecond)
				took = append(took, w.nextMegabyte())
			}
			slices.Sort(took)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "us-next-megabyte")
		})
	}
}

// pouring writes as much as it can, and has a snapshot of how far it is.
var pouring = process{"pourer", func(s *server, c *keeper.Client) error { return s.serve(c, pour) }}

func pour(c *cbox.Conn) error {
	b := make([]byte, 16<<10)
	for off := imported(c.Session); ; off += uint64(len(b)) {
		netrig.Fill(b, downStream, off)
		if _, err := c.Write(b); err != nil {
			return err
		}
		if err := c.Export(binary.LittleEndian.AppendUint64(nil, off+uint64(len(b)))); err != nil {
			return err
		}
	}
}

// away puts so much time between the client and the servers, each way.
func (w *world) away(d time.Duration) {
	w.t.Helper()
	const far = "br1"
	w.rig.Apart("client", far)
	l, err := link.Open(link.Options{In: w.rig.Wire.Try, Near: "br0", Far: far, Seed: 1})
	w.must(err)
	w.t.Cleanup(func() { _ = l.Close() })
	w.must(l.Set(link.Faults{Delay: d}))
}

// nextMegabyte is how long it takes after the salvage, and checks it.
func (w *world) nextMegabyte() time.Duration {
	w.t.Helper()
	a := w.dial()
	has := w.pours(a, 0, 4<<20) // by then there is room for more than a megabyte at the client
	w.die(func(_ int, _ *tcprepair.Dump, s *extracttest.Sock) { s.Set("tcp_sock.snd_cwnd", 200) })
	w.must(a.SetReadDeadline(time.Now().Add(200 * time.Millisecond))) // what was on its way, and lies at the client
	n, err := io.Copy(io.Discard, a)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		w.t.Fatal(err)
	}
	w.must(a.SetReadDeadline(time.Now().Add(hang)))
	r := w.salvage()
	began := time.Now()
	if r.Saved() != 1 {
		w.t.Fatalf("%+v", r.Sessions)
	}
	w.pours(a, has+uint64(n), 1<<20)
	return time.Since(began)
}

// pours reads n bytes from off on, which is where it ends.
func (w *world) pours(a *adder, off uint64, n int) uint64 {
	w.t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(a, b); err != nil {
		w.t.Fatal(err)
	}
	w.must(netrig.Verify(b, downStream, off))
	return off + uint64(n)
}
