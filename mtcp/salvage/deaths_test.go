// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/bench/soaktest"
	"lazystate/mtcp"
	"lazystate/mtcp/extract/extracttest"
	"lazystate/mtcp/tcprepair"
	"lazystate/tools/lab"
	"lazystate/tools/lab/link"
)

// Machines die at random moments, and what carries their sessions out is not well
// either: clients lose segments, the carrier fails, the recovery node is killed and
// another try is made, CPUs wake that were believed to be dead, some memory is
// damaged. The sessions that are not damaged go on, in 200 of 200 runs of the soak.
// SALVAGE_SEED repeats one run, of which there is no record.
func TestDeaths(t *testing.T) {
	seeds := make([]uint64, lab.Count(8, 200))
	for i := range seeds {
		seeds[i] = (lab.Seed()-1)*uint64(len(seeds)) + uint64(i)
	}
	book := soaktest.New(t, record, lab.Seed(), len(seeds))
	if n, err := strconv.ParseUint(os.Getenv("SALVAGE_SEED"), 10, 64); err == nil {
		seeds = []uint64{n}
	}
	for _, seed := range seeds {
		book.Run(t, strconv.FormatUint(seed, 10), func(t *testing.T) {
			d := newDeath(t, seed)
			d.happens()
			book.Add("deaths", 1)
			book.Add("sessions", len(d.clients))
			if d.bad != "" {
				book.Add("damaged", 1)
			}
		})
	}
}

// death is one run.
type death struct {
	*world
	rng     *rand.Rand
	clients []*adder
	memory  *recorder
	bad     string // the client of a session that is damaged
}

func (d *death) one(of int) bool { return d.rng.IntN(of) == 0 }

func newDeath(t *testing.T, seed uint64) *death {
	t.Helper()
	d := &death{rng: rand.New(rand.NewPCG(seed, 9))}
	services := [][]process{{adding}, {fronting, backing}}
	d.world = newWorld(t, []string{"ipv4", "ipv6"}[d.rng.IntN(2)], services[d.rng.IntN(2)]...)
	d.cfg.Policy, d.cfg.NotAsking = []mtcp.Policy{mtcp.Minimal, mtcp.Whole}[d.rng.IntN(2)], d.one(4)
	d.cfg.AtOnce = 1 + d.rng.IntN(4)
	d.dig = func(m *bdtest.Target) extracttest.Machine {
		d.memory = &recorder{Recorder: bdtest.Recorder{Target: m}}
		return d.memory
	}
	return d
}

func (d *death) happens() {
	t := d.t
	if d.one(3) {
		d.lossy()
	}
	for range 1 + d.rng.IntN(8) {
		a := d.dial()
		a.ask(d.rng.IntN(100))
		a.hear(d.rng.IntN(int(a.next) + 1))
		if d.one(3) {
			a.deaf(true)
		}
		a.ask(d.rng.IntN(200))
		d.clients = append(d.clients, a)
	}
	time.Sleep(time.Duration(d.rng.IntN(5000)) * time.Microsecond)
	d.dies()
	for _, a := range d.clients {
		a.deaf(false)
		a.ask(d.rng.IntN(3)) // into nothing
	}
	r := d.carriedOut()
	for _, a := range d.clients {
		o := outcome(t, r, a)
		if a.LocalAddr().String() == d.bad {
			_ = a.Close()
			continue
		}
		if o.Err != nil {
			t.Errorf("%v of %+v", o.Err, o)
			continue
		}
		a.rest()
		a.ask(20)
		a.rest()
	}
}

// lossy has a twentieth of what clients and servers say to each other get lost.
func (d *death) lossy() {
	d.t.Helper()
	const far = "br1"
	d.rig.Apart("client", far)
	l, err := link.Open(link.Options{In: d.rig.Wire.Try, Near: "br0", Far: far, Seed: d.rng.Uint64()})
	d.must(err)
	d.t.Cleanup(func() { _ = l.Close() })
	d.must(l.Set(link.Faults{Loss: 0.05, Duplicate: 0.02, Reorder: 0.05}))
}

func (d *death) dies() {
	victim := -1
	if len(d.clients) > 1 && d.one(3) {
		victim = d.rng.IntN(len(d.clients))
	}
	d.die(func(i int, dump *tcprepair.Dump, s *extracttest.Sock) {
		s.Set("tcp_sock.snd_cwnd", 12)
		d.memory.marks = append(d.memory.marks, len(d.memory.Areas))
		if i == victim {
			d.bad = dump.Remote.String()
		}
	})
	if victim >= 0 {
		damage(d.rng, d.memory, d.memory.of(victim, d.grave.Boxes))
	}
}

// carriedOut tries until it is done.
func (d *death) carriedOut() *Report {
	memory := d.machine.Memory()
	d.carrier = memory
	if d.one(3) { // its CPUs hang, and perhaps not for ever
		d.carrier, d.fence.Timeout = cutting{memory}, 20*time.Millisecond
		d.machine.Hang(true)
		if d.one(2) {
			d.wakes(memory)
		}
	}
	for d.one(3) {
		d.killed(d.rng.IntN(len(d.clients)))
	}
	for tries := d.rng.IntN(3); tries > 0; tries-- {
		d.carrierFails(memory)
	}
	return d.salvage()
}

// wakes lets the CPUs run at some operation.
func (d *death) wakes(m *bdtest.Memory) {
	at, n := d.rng.IntN(60), 0
	m.Before(func(int, *backdoor.Op) error {
		if n++; n == at {
			d.machine.Hang(false)
		}
		return nil
	})
}

// carrierFails has it fail for good at some operation.
func (d *death) carrierFails(m *bdtest.Memory) {
	gone, at, n := errors.New("the carrier is gone"), d.rng.IntN(100), 0
	var err error
	d.cfg.Target, err = backdoor.Open(d.t.Context(), d.carrier)
	d.must(err)
	m.Before(func(int, *backdoor.Op) error {
		if n++; n > at {
			return gone
		}
		return nil
	})
	err = d.s2.Try(func() error { _, err := Run(d.t.Context(), d.cfg); return err })
	m.Before(nil)
	if err != nil && !errors.Is(err, gone) {
		d.t.Fatal(err)
	}
}
