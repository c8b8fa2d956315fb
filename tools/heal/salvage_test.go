// SPDX-License-Identifier: Apache-2.0

package heal

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/repair"
	"lazystate/sensorbox"
)

var key = uapi.Key{1, 2, 3}

// cutting is a carrier that cuts the target's port at a fence.
type cutting struct {
	*bdtest.Memory
	cuts bool
}

func (c cutting) Caps() backdoor.Caps {
	caps := c.Memory.Caps()
	caps.CutsPort = c.cuts
	return caps
}

// patient is a machine with two CPUs, of which some stand still.
type patient struct {
	*repair.Patient
	machine *bdtest.Target
	log     bytes.Buffer
}

func newPatient(t *testing.T, cuts bool, stands ...bool) *patient {
	t.Helper()
	done := make(chan struct{})
	var ticking sync.WaitGroup
	t.Cleanup(func() { close(done); ticking.Wait() })
	p := &patient{machine: bdtest.New(bdtest.WithKey(0, key), bdtest.WithFence())}
	for i, name := range []string{"TICKS.0", "TICKS.1"} {
		id := p.machine.SetSensor(bdtest.Sensor{Class: uapi.Progress, Flags: uapi.SensorClock, Limit: 500000, Value: 1, Name: name})
		if stands[i] {
			continue
		}
		ticking.Go(func() {
			for n := uint64(2); ; n++ {
				select {
				case <-done:
					return
				case <-time.After(5 * time.Millisecond):
					p.machine.SetValue(id, n)
				}
			}
		})
	}
	target, err := backdoor.Open(t.Context(), cutting{p.machine.Memory(), cuts})
	if err != nil {
		t.Fatal(err)
	}
	p.Patient = &repair.Patient{Name: "web1", Target: target, Key: key, Audit: repair.NewAudit(&p.log)}
	return p
}

// treat runs one incident.
func (p *patient) treat(t *testing.T, h repair.Healer) repair.Report {
	t.Helper()
	got := make(chan repair.Report, 1)
	d := repair.NewDispatcher(p.Patient, repair.Options{Coalesce: time.Millisecond, Attempts: 3, Report: func(r repair.Report) { got <- r }})
	d.RegisterSensor(d.NewHealer(h), sensorbox.Panicked.String())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = d.Run(ctx) }()
	if n := d.Dispatch(sensorbox.Event{Kind: sensorbox.Panicked}); n != 1 {
		t.Fatalf("%d healers were called", n)
	}
	r := <-got
	cancel()
	<-ended
	return r
}

// healer counts how often the recovery node was asked; fails are its first answers.
func healer(asked *[]bool, lost []string, fails ...error) *Salvage {
	return &Salvage{Machine: "web1", Carry: func(_ context.Context, portOnly bool) (*Carried, error) {
		*asked = append(*asked, portOnly)
		if n := len(*asked); n <= len(fails) {
			return nil, fails[n-1]
		}
		return &Carried{Live: []string{"one", "two"}, Lost: lost}, nil
	}}
}

// A machine that is dead is fenced, and then its sessions are carried out; what
// is in doubt is left alone.
func TestSalvage(t *testing.T) {
	type are = []bool
	unreachable := errors.New("the recovery node is not there")
	for name, c := range map[string]struct {
		stands      are
		cuts, hangs bool
		dryRun      bool
		reset       bool
		before      bool // somebody has fenced it, and no more
		cause       uint32
		lost        []string
		fails       []error
		want        repair.Result
		asked       are
		fenced      bool
		says        string
	}{
		"panic":                      {stands: are{true, true}, cause: uapi.PanicPanic, cuts: true, hangs: true, want: repair.Healed, asked: are{true}, says: "cut off at its port"},
		"panic, its poller answers":  {stands: are{true, true}, cause: uapi.PanicPanic, want: repair.Healed, asked: are{false}, fenced: true, says: "fenced after"},
		"no CPU ticks":               {stands: are{true, true}, cuts: true, hangs: true, want: repair.Healed, asked: are{true}, says: "2 sessions live"},
		"one CPU ticks":              {stands: are{true, false}, cuts: true, want: repair.NothingToDo, says: "repaired in place"},
		"fenced by one who has died": {stands: are{false, false}, before: true, cuts: true, want: repair.Healed, asked: are{false}, fenced: true, says: "it is fenced"},
		"an oops":                    {stands: are{false, false}, cause: uapi.PanicOops, cuts: true, want: repair.NothingToDo},
		"dry run":                    {stands: are{true, true}, cuts: true, dryRun: true, want: repair.DryRun, says: "fence it for good"},
		"no fence holds":             {stands: are{true, true}, hangs: true, want: repair.Aborted},
		"a session is lost":          {stands: are{true, true}, cuts: true, hangs: true, lost: []string{"three: torn"}, want: repair.Unhealed, asked: are{true}, says: "three: torn"},
		"power-cycled then":          {stands: are{true, true}, hangs: true, cuts: true, reset: true, want: repair.Healed, asked: are{true}, says: `"power-cycled"`},
		"power-cycle, dry":           {stands: are{true, true}, cuts: true, dryRun: true, reset: true, want: repair.DryRun, says: "power-cycle it"},
		"none is carried, no reset":  {stands: are{true, true}, hangs: true, cuts: true, reset: true, fails: []error{unreachable, unreachable, unreachable}, want: repair.Aborted, asked: are{true, true, true}},
		"the recovery node is later": {stands: are{true, true}, cuts: true, hangs: true, fails: []error{unreachable}, want: repair.Healed, asked: are{true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPatient(t, c.cuts, c.stands...)
				p.DryRun = c.dryRun
				if c.cause != 0 {
					p.machine.Crash(c.cause, "the end")
				}
				p.machine.Hang(c.hangs)
				if c.before {
					if err := p.Target.Fence(t.Context(), backdoor.FenceOptions{Key: key}); err != nil {
						t.Fatal(err)
					}
				}
				var asked []bool
				h := healer(&asked, c.lost, c.fails...)
				h.Confirm, h.Reset = time.Second, c.reset
				boot := p.Target.BootID()
				r := p.treat(t, h)
				if r.Result != c.want {
					t.Errorf("%v, want %v: %v", r.Result, c.want, r.Err)
				}
				if len(asked) != len(c.asked) || len(asked) > 0 && asked[0] != c.asked[0] {
					t.Errorf("asked %v, want %v", asked, c.asked)
				}
				root, err := p.Target.Memory().Root(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if reset := backdoor.BootID(root[uapi.RootBootIDOff:]) != boot; reset != (c.reset && c.want == repair.Healed) {
					t.Errorf("power-cycled: %v", reset)
				}
				if h.Needed() != (c.want == repair.Aborted) {
					t.Errorf("needed: %v", h.Needed())
				}
				if p.machine.Fenced() != c.fenced {
					t.Errorf("fenced: %v", p.machine.Fenced())
				}
				if !strings.Contains(p.log.String(), c.says) {
					t.Errorf("no word of %q in %s", c.says, p.log.String())
				}
			})
		})
	}
}

// A machine whose sessions another recovery node was given is left alone, unless that one
// is said to be fenced as well.
func TestAnothersSessions(t *testing.T) {
	for _, supersedes := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := newPatient(t, true, true, true)
			if err := p.Target.Fence(t.Context(), backdoor.FenceOptions{Key: key, Heir: backdoor.HeirOf("rn1")}); err != nil {
				t.Fatal(err)
			}
			var asked []bool
			h, want := healer(&asked, nil), repair.Aborted
			h.Confirm, h.Heir = time.Second, backdoor.HeirOf("rn2")
			if supersedes {
				h.Supersedes, want = backdoor.HeirOf("rn1"), repair.Healed
			}
			if r := p.treat(t, h); r.Result != want || (len(asked) > 0) != supersedes {
				t.Errorf("superseded %v: %v, asked %v: %v", supersedes, r.Result, asked, r.Err)
			}
		})
	}
}

// Whoever resets machines knows of what is to be carried out before Plan says so, and
// no more when it has been, or nobody will.
func TestExpected(t *testing.T) {
	h := &Salvage{}
	expect := func(want bool, when string) {
		t.Helper()
		if h.Needed() != want {
			t.Errorf("%s: needed: %v", when, !want)
		}
	}
	h.Expect()
	expect(true, "the machine's end was heard of")
	h.GiveUp()
	expect(false, "nobody will")
	h.carried.Store(true)
	h.Expect()
	expect(false, "it has been carried out")
}
