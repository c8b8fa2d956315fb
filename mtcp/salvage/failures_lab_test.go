// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/bench/soaktest"
	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
	"lazystate/sensorbox"
	"lazystate/tools/lab"
)

// failure is a way in which a server's machine fails (§3.9.2, the section 4).
type failure struct {
	name   string
	strike func(v *victim, clients []*adder) // returns when it has struck
	after  func(v *victim, l *backdoor.LockView)
	drags  bool // it may take the other CPUs with it (dragged)
}

// hangs is one CPU that takes no interrupts, while the others go on: it is stopped by
// an NMI.
func hangs(name, fault, clock string, cpu int) failure {
	return failure{name: name, drags: true, strike: func(v *victim, _ []*adder) {
		v.inject(fault)
		v.stand(clock)
	}, after: func(v *victim, l *backdoor.LockView) {
		if !l.NMI.Has(cpu) {
			v.t.Errorf("the CPU that hangs was stopped by something else than an NMI: held are %s by IPI, %s by NMI", l.IPI, l.NMI)
		}
	}}
}

var failures = []failure{
	{name: "all CPUs hang, interrupts off", strike: func(v *victim, _ []*adder) {
		v.inject("spin 0-1 0")
		v.stand("TICKS.0", "TICKS.1")
	}},
	hangs("deadlock", "deadlock spin 0", "TICKS.0", 0),
	{name: "panic", strike: func(v *victim, _ []*adder) {
		v.inject("panic")
		v.stamped()
	}},
	{name: "sysrq crash", strike: func(v *victim, _ []*adder) { v.panics() }},
	{name: "vCPUs stopped", strike: func(v *victim, _ []*adder) { v.must(v.vm.Stop(v.t.Context())) }},
	{name: "the NIC's interrupts are lost", strike: func(v *victim, clients []*adder) {
		for _, name := range v.queues() {
			v.inject("lose_irq " + name + " 0")
		}
		v.silent(clients[0])
	}},
	{name: "the driver stops sending", strike: func(v *victim, clients []*adder) {
		v.inject("mute eth0 0")
		v.silent(clients[0])
	}},
}

// Those of a machine whose NIC is a device in software (rxe): a CPU of it has to take
// its interrupts. The last one has not failed at all, but is taken for it.
var softFailures = []failure{
	hangs("another CPU hangs, interrupts off", "spin 1 0", "TICKS.1", 1),
	{name: "false suspicion", strike: func(*victim, []*adder) {}},
}

// trial is a failure of a machine that is read by a carrier.
type trial struct {
	kernel string
	by     carrier
	failure
}

func (t *trial) String() string { return t.kernel + ", by " + t.by.name + ": " + t.name }

// trials are those of make soak, in turn, as often as SALVAGE_RUNS says, each once at
// least in a whole one; in make test two that the seed draws, one on each kernel and
// one by rxe.
func trials(rng *rand.Rand) (all []trial, whole int) {
	for _, kernel := range []string{"6.12", "6.1"} {
		for _, f := range failures {
			all = append(all, trial{kernel, mapped, f}, trial{kernel, bdnic, f})
		}
		for _, f := range softFailures {
			all = append(all, trial{kernel, rxe, f})
		}
	}
	if !lab.Soak() {
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		soft := all[slices.IndexFunc(all, func(t trial) bool { return t.by.name == rxe.name })]
		hard := all[slices.IndexFunc(all, func(t trial) bool { return t.by.name != rxe.name && t.kernel != soft.kernel })]
		return []trial{hard, soft}, 2
	}
	whole = len(all)
	if n, err := strconv.Atoi(os.Getenv("SALVAGE_RUNS")); err == nil && n > 0 {
		all = slices.Repeat(all, 1+(n-1)/len(all))[:n]
	}
	return all, max(whole, len(all))
}

// A machine fails in each of the ways there are, at a random moment of what its
// clients are at, and their sessions go on at this host.
func TestFailures(t *testing.T) {
	rng := rand.New(rand.NewPCG(lab.Seed(), 13))
	all, whole := trials(rng)
	book := soaktest.New(t, record, lab.Seed(), whole)
	for _, c := range all {
		wait := time.Duration(rng.IntN(20_000)) * time.Microsecond
		book.Run(t, c.String(), func(t *testing.T) {
			v := newVictimBy(t, c.kernel, "add", c.by)
			v.must(v.vm.Insmod(t.Context(), lab.Module(t, v.vm, "inject/bd_inject"), "i_am_a_lab=1"))
			var callers []uint64
			if c.drags && c.by.name == rxe.name { // no other carrier needs a CPU
				callers = v.callers()
			}
			clients := v.goesOn(func(clients []*adder) {
				v.excused = func(err error) {
					if len(callers) == 0 || !v.dragged(callers) {
						return
					}
					v.unharmed(clients)
					book.Add("machines that rxe does not reach", 1)
					t.Skipf("CPU 0 waits for the one that hangs, and runs nothing any more: %v", err)
				}
				time.Sleep(wait)
				c.strike(v, clients)
			})
			book.Add("sessions", len(clients))
			if c.after != nil {
				c.after(v, v.fenced())
			}
			book.Add("machines", 1)
		})
	}
}

// inject has a fault strike, which may leave nobody who answers.
func (v *victim) inject(fault string) {
	v.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	v.t.Cleanup(cancel)
	go func() {
		_ = v.vm.WriteFile(ctx, "/sys/module/bd_inject/parameters/trigger", []byte(fault), 0) // what it does is looked for
	}()
}

// queues are the interrupts of the NIC's queues.
func (v *victim) queues() (names []string) {
	v.t.Helper()
	text, err := v.vm.ReadFile(v.t.Context(), "/proc/interrupts")
	v.must(err)
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 0 && (strings.Contains(f[len(f)-1], "-input.") || strings.Contains(f[len(f)-1], "-output.")) {
			names = append(names, f[len(f)-1])
		}
	}
	if len(names) == 0 {
		v.t.Fatalf("no queues of a NIC in %s", text)
	}
	return names
}

// stand waits until these clocks have stood still for a second.
func (v *victim) stand(names ...string) {
	v.t.Helper()
	last, since := uint64(0), time.Now()
	for end := time.Now().Add(hang); time.Since(since) < time.Second; time.Sleep(20 * time.Millisecond) {
		if n := v.ticks(names); n != last {
			last, since = n, time.Now()
		}
		if time.Now().After(end) {
			v.t.Fatalf("%v go on", names)
		}
	}
}

// ticks is the sum of some clocks.
func (v *victim) ticks(names []string) (sum uint64) {
	v.t.Helper()
	region, err := v.target.Region(uapi.KindSensorbox)
	v.must(err)
	raw := make([]byte, region.Len)
	v.must(v.target.Do(v.t.Context(), region.Read(0, raw)))
	view, found := &sensorbox.View{}, 0
	v.must(view.Decode(raw, nil))
	for i := range view.Sensors {
		if slices.Contains(names, view.Sensors[i].Name()) {
			sum += view.Sensors[i].Value
			found++
		}
	}
	if found != len(names) {
		v.t.Fatalf("%d of %v are there", found, names)
	}
	return sum
}

// silent waits until nothing of what a client asks is answered, for two seconds.
func (v *victim) silent(a *adder) {
	v.t.Helper()
	for end := time.Now().Add(hang); ; {
		before := v.received(a)
		a.ask(1)
		time.Sleep(2 * time.Second)
		if v.received(a) == before {
			return
		}
		if time.Now().After(end) {
			v.t.Fatal("it goes on answering")
		}
	}
}

// received is what a client's kernel has of its server.
func (v *victim) received(a *adder) uint64 {
	v.t.Helper()
	raw, err := a.Conn.(*net.TCPConn).SyscallConn()
	v.must(err)
	var has mtcp.Counters
	v.must(raw.Control(func(fd uintptr) { has, err = cbox.Counters(int(fd)) }))
	v.must(err)
	return has.Received
}

// fenced waits until all CPUs have been stopped, and says how.
func (v *victim) fenced() *backdoor.LockView {
	v.t.Helper()
	for end := time.Now().Add(hang); ; time.Sleep(time.Millisecond) {
		look, err := v.target.LockView(v.t.Context())
		if err == nil && look.State == uapi.LockFenced && look.Free.Empty() {
			return look
		}
		if time.Now().After(end) {
			v.must(err)
			v.t.Fatalf("it has not seen its fence, or not wholly: %+v", look)
		}
	}
}
