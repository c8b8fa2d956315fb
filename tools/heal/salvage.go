// SPDX-License-Identifier: Apache-2.0

package heal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/internal/pause"
	"lazystate/repair"
)

// Salvage has the sessions of a machine that is dead go on elsewhere.
type Salvage struct {
	Machine string        // as the recovery node calls it; empty: there is none that takes sessions over
	How     []string      // what Carry does, for the plan; nil: that takeover
	Confirm time.Duration // how long a machine without a panic must have been dead
	Fence   time.Duration // most time for its CPUs to stop at the fence; 0: 100 ms if its port is cut anyway, else 5 s
	Reset   bool          // power-cycle it then: nothing in its memory is needed any more

	// Heir is the recovery node; 0: whoever has the sessions may have them. Where another
	// was given them before it is not fenced anew, unless Supersedes says that this one is
	// fenced, too.
	Heir, Supersedes backdoor.Heir

	// Carry has the recovery node carry them out. portOnly: the machine is cut off
	// at its port, but its CPUs have not said that they stand.
	Carry func(ctx context.Context, portOnly bool) (*Carried, error)

	needed  atomic.Bool
	carried atomic.Bool
}

// Needed reports whether what is in the machine's memory is about to be carried
// out: who resets it now resets its clients.
func (h *Salvage) Needed() bool { return h.needed.Load() }

// Expect says that it may be, as soon as the machine's end is heard of: Plan is called
// when other healers have had their turn, and there may be somebody who resets it first.
// GiveUp follows, at the end of an incident.
func (h *Salvage) Expect() {
	if !h.carried.Load() {
		h.needed.Store(true)
	}
}

// GiveUp says that nobody will, after an incident that has ended without.
func (h *Salvage) GiveUp() { h.needed.Store(false) }

// Carried is what the recovery node says of the sessions.
type Carried struct {
	Live []string // each with what is to be said of it
	Lost []string // each with the reason
}

// Where the port is cut, each moment of waiting for CPUs is the clients'. Those that see
// the fence are waited for: the NMI that stops the others comes after 50 ms.
const (
	defaultFence = 100 * time.Millisecond
	fenceSeen    = 3 * backdoor.PollPeriod / 2
	deadLooks    = 100 * time.Millisecond
)

// Name implements repair.Healer.
func (h *Salvage) Name() string { return "Salvage_Healer" }

// Plan implements repair.Healer.
func (h *Salvage) Plan(ctx context.Context, in *repair.Incident) (*repair.Plan, error) {
	p := in.Patient
	if h.carried.Load() {
		return &repair.Plan{Why: "its sessions have been salvaged"}, nil
	}
	h.needed.Store(!p.DryRun) // until it is known to live, or the incident has ended
	began := time.Now()
	why, err := h.dead(ctx, p)
	if err != nil {
		return nil, err
	}
	if why == "" {
		h.needed.Store(false)
		return &repair.Plan{Why: "some CPU of it runs: it may be repaired in place"}, nil
	}
	if _, err := p.Target.Region(uapi.KindFence); err != nil {
		return nil, fmt.Errorf("fence %s: %w", p.Name, err)
	}
	steps := append([]string{"it is dead: " + why, "fence it for good"}, h.How...)
	if h.How == nil {
		steps = append(steps, "the recovery node takes over the addresses and sessions of "+h.Machine)
	}
	if h.Reset {
		steps = append(steps, "power-cycle it")
	}
	return &repair.Plan{Confirm: time.Since(began), Steps: steps}, nil
}

// dead looks until a machine that has not panicked has been dead for long enough. One
// that is fenced is: who did that may have died before the sessions were carried out.
func (h *Salvage) dead(ctx context.Context, p *repair.Patient) (string, error) {
	if v, err := p.Target.LockView(ctx); err == nil && v.State == uapi.LockFenced && v.Free.Empty() {
		return "it is fenced", nil
	}
	for end := time.Now().Add(h.Confirm); ; {
		why, forGood, err := p.Dead(ctx)
		if err != nil || why == "" || forGood || !time.Now().Before(end) {
			return why, err
		}
		if err := pause.For(ctx, deadLooks); err != nil {
			return "", err
		}
	}
}

// Apply implements repair.Healer.
func (h *Salvage) Apply(ctx context.Context, in *repair.Incident, _ *repair.Plan) (*repair.Outcome, error) {
	out, p := &repair.Outcome{}, in.Patient
	began := time.Now()
	o := backdoor.FenceOptions{Slot: p.Slot, Key: p.Key, Timeout: h.Fence, Seen: fenceSeen, Heir: h.Heir, Supersedes: h.Supersedes}
	if o.Timeout == 0 && p.Target.Memory().Caps().CutsPort {
		o.Timeout = defaultFence
	}
	err := p.Target.Fence(ctx, o)
	var port *backdoor.PortOnlyError
	portOnly := errors.As(err, &port)
	if err != nil && !portOnly {
		return out, err
	}
	how := "fenced"
	if portOnly {
		how = "cut off at its port"
	}
	out.Done = append(out.Done, fmt.Sprintf("%s after %s", how, time.Since(began)))
	c, err := h.Carry(ctx, portOnly)
	if err != nil {
		return out, fmt.Errorf("salvage %s: %w", cmp.Or(h.Machine, p.Name), err)
	}
	h.carried.Store(true)
	h.needed.Store(false)
	out.Done = append(out.Done, fmt.Sprintf("%d sessions live at the recovery node after %s", len(c.Live), time.Since(began)))
	out.Done, out.Left = append(out.Done, c.Live...), c.Lost
	if h.Reset {
		out.Done = append(out.Done, h.reset(ctx, p))
	}
	return out, nil
}

// reset says what came of it: the sessions live, whether the machine does or not.
func (h *Salvage) reset(ctx context.Context, p *repair.Patient) string {
	r, err := p.Resetter()
	if err == nil {
		err = r.Reset(ctx)
	}
	if err != nil {
		return fmt.Sprintf("not power-cycled: %v", err)
	}
	return "power-cycled"
}

// Verify implements repair.Healer: healed is a machine none of whose sessions is
// lost. The machine itself is dead.
func (h *Salvage) Verify(_ context.Context, _ *repair.Incident, _ *repair.Plan, o *repair.Outcome) (*repair.Verdict, error) {
	v := &repair.Verdict{Healed: len(o.Left) == 0, Left: len(o.Left)}
	if !v.Healed {
		v.Why = fmt.Sprintf("%d sessions are lost", len(o.Left))
	}
	return v, nil
}
