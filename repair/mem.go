// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lazystate/repair/policy"
	"lazystate/sensorbox"
)

// MemReclaimHealer is Mem_Reclaim_Healer of §3.7.2: it reclaims memory from
// hogs that the kernel's own OOM handler cannot get rid of.
//
// One run of the OOM handler is no reason to act: it often settles the matter.
// The healer acts when the handler keeps running through the confirm window,
// when memory and swap together stay below the floor all the while, or when a
// level sensor that called (MEM_STALL: threads that wait for memory) stays
// beyond its limit: a machine that thrashes may be lost long before its swap
// is full and the handler runs.
type MemReclaimHealer struct {
	Policy  policy.Policy
	Spare   policy.Spare
	Confirm Confirm
	Reaper  Reaper

	Free  []string // sensors, in pages, whose sum is usable memory still free: RAM and swap
	Floor uint64   // pages; free memory above it needs no repair
}

func (h *MemReclaimHealer) Name() string { return "Mem_Reclaim_Healer" }

// Check refuses a healer that could never tell whether memory is short.
func (h *MemReclaimHealer) Check() error {
	if h.Policy == nil {
		return errors.New("memory healer: no policy: its limit depends on the size of the target")
	}
	if len(h.Free) == 0 || h.Floor == 0 {
		return errors.New("memory healer: no sensors of free memory, or no floor")
	}
	return h.Policy.Check()
}

// memWindow is the confirm window for memory: one run of the OOM handler, with
// the exit of what it killed, takes a second or two on a machine that swaps.
const memWindow = 4 * time.Second

// pressure is one look at how short memory is.
type pressure struct {
	oom  uint64 // counter
	free uint64 // pages

	levels map[string]float64 // of the sensors that called, as multiples of L
}

func (h *MemReclaimHealer) look(ctx context.Context, p *Patient, levels []Threshold) (pressure, error) {
	v, err := p.Sensors(ctx)
	if err != nil {
		return pressure{}, err
	}
	var now pressure
	if now.levels, err = p.above(v, levels); err != nil {
		return now, err
	}
	s := find(v, SensorOOM)
	if s == nil {
		return now, p.missing(v, SensorOOM)
	}
	now.oom = s.Value
	for _, name := range h.Free {
		s := find(v, name)
		if s == nil {
			return now, fmt.Errorf("free memory: %w", p.missing(v, name))
		}
		now.free += s.Value
	}
	return now, nil
}

// Plan watches memory for the confirm window, then reads the process table.
func (h *MemReclaimHealer) Plan(ctx context.Context, in *Incident) (*Plan, error) {
	if err := h.Check(); err != nil {
		return nil, err
	}
	plan := &Plan{Policy: h.Policy.String(), Spare: h.Spare}
	if !in.Confirmed() {
		why, took, err := h.settles(ctx, in)
		plan.Confirm = took
		if err != nil || why != "" {
			plan.Why = why
			return plan, err
		}
	}
	if err := plan.diagnose(ctx, in.Patient, h.Policy); err != nil {
		return plan, err
	}
	plan.Watched = h.watched(in.Events)
	return plan, nil
}

// settles says why memory needs no repair, or "". Each run of the handler, or
// each look at free memory below the floor, is a look at a condition above its
// limit; the two are judged apart.
func (h *MemReclaimHealer) settles(ctx context.Context, in *Incident) (string, time.Duration, error) {
	var runs motion
	c := h.Confirm
	if c.Window == 0 {
		c.Window = memWindow
	}
	c = c.withDefaults()
	levels := thresholds(in.Events)
	return c.watch(ctx, in, func(ctx context.Context) (map[string]float64, error) {
		now, err := h.look(ctx, in.Patient, levels)
		if err != nil {
			return nil, err
		}
		runs.look(now.oom, time.Now())
		r := now.levels
		r["free memory"], r["OOM handler"] = ratio(now.free, h.Floor, true), holds(runs.within(c.Window/2))
		return r, nil
	})
}

// watched: after the repair the handler must be quiet and memory above the floor.
func (h *MemReclaimHealer) watched(events []sensorbox.Event) []Threshold {
	all := append([]Threshold{{Sensor: SensorOOM, Class: sensorbox.Pressure}}, thresholds(events)...)
	for _, e := range events {
		if e.Sensor == SensorOOM {
			all[0].Limit = e.Limit
		}
	}
	return all
}

func (h *MemReclaimHealer) Apply(ctx context.Context, in *Incident, p *Plan) (*Outcome, error) {
	return h.Reaper.Apply(ctx, in, p)
}

// Verify adds to the reaper's proof that memory is above the floor again.
func (h *MemReclaimHealer) Verify(ctx context.Context, in *Incident, p *Plan, o *Outcome) (*Verdict, error) {
	v, err := h.Reaper.Verify(ctx, in, p, o)
	if err != nil || !v.Healed {
		return v, err
	}
	now, err := h.look(ctx, in.Patient, nil)
	if err != nil {
		return v, err
	}
	if now.free < h.Floor {
		v.Healed = false
		v.Why = fmt.Sprintf("%d pages of memory and swap are free, the floor is %d", now.free, h.Floor)
	}
	return v, nil
}
