// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lazystate/backdoor"
	"lazystate/internal/sampling"
	"lazystate/sensorbox"
)

// session watches one boot of the target.
type session struct {
	m      *Monitor
	mem    backdoor.Memory
	target *backdoor.Target
	det    *sensorbox.Detector
	view   sensorbox.View
	probe  *prober

	pool      []*buffers
	timer     *time.Timer
	schedule  schedule
	events    []sensorbox.Event
	checked   time.Duration // last look at the target's identity
	shape     uint64
	fetch     time.Duration // measured at the start
	deadline  time.Duration // the plan's T
	kept      time.Duration // the least L of a user that the plan keeps
	planned   uint64        // the shape that the plan is for
	refusal   error         // of a plan for another T; ends the session
	userPages int           // that hold watched sensors
	usersAt   time.Duration // last look at all of them
}

const (
	poolSize   = 4 // samples that may be under way, all but one given up; more where each has a queue
	checkEvery = time.Second
	warmUp     = 8 // fetches that measure the path
	patience   = 2 * time.Second
	planTries  = 3
)

func newSession(ctx context.Context, m *Monitor, mem backdoor.Memory) (*session, error) {
	t, err := backdoor.Open(ctx, mem)
	if err != nil {
		return nil, err
	}
	s := &session{m: m, mem: mem, target: t, timer: time.NewTimer(time.Hour), events: make([]sensorbox.Event, 0, 64)}
	s.timer.Stop()
	for range max(poolSize, mem.Caps().Queues+1) {
		b, err := newBuffers(t)
		if err != nil {
			return nil, err
		}
		s.pool = append(s.pool, b)
	}
	plan, fetch, err := s.plan(ctx)
	if err != nil {
		return nil, err
	}
	cfg := m.opts.Detector
	cfg.Period, cfg.Kept, cfg.NeedsCPU = plan.Period, s.kept, mem.Caps().NeedsCPU
	s.det = sensorbox.NewDetector(cfg)
	s.schedule = schedule{period: plan.Period, next: now() + plan.Period}
	s.fetch, s.planned, s.deadline = fetch, s.shape, cfg.LeastDeadline(&s.view)
	s.checked = now()
	m.opened(s, plan, fetch)
	s.tell()
	return s, nil
}

// plan measures the path and plans for it. A start on a busy machine gets
// another chance: the worst of a few fetches may be this side's own delay.
func (s *session) plan(ctx context.Context) (plan sampling.Plan, fetch time.Duration, err error) {
	for range planTries {
		if fetch, err = s.measure(ctx); err != nil {
			return plan, fetch, err
		}
		if plan, err = s.planFor(fetch); !slow(err) {
			return plan, fetch, err
		}
	}
	return plan, fetch, err
}

// planFor plans for the view. What a user asks for must not end the watch over
// the machine: a plan that is refused for a user sensor's sake goes without it.
func (s *session) planFor(fetch time.Duration) (sampling.Plan, error) {
	o := s.m.opts.over(s.mem.Caps())
	o.Detector.Kept = 0
	plan, refused := o.plan(&s.view, fetch, fetch)
	for err := refused; err != nil; plan, err = o.plan(&s.view, fetch, fetch) {
		least := o.Detector.LeastDeadline(&s.view)
		o.Detector.Kept = least + 1
		if o.Detector.LeastDeadline(&s.view) == least {
			return plan, refused // it is the target's own
		}
	}
	s.kept = o.Detector.Kept
	return plan, nil
}

// tell reports which sensors are missing, and which come too often to keep.
func (s *session) tell() {
	cfg := s.m.opts.Detector
	cfg.Kept = s.kept
	s.m.missing(cfg.Unknown(&s.view), cfg.Unkept(&s.view))
}

// slow reports a refusal because of the path, which may become better.
func slow(err error) bool {
	var refused *sampling.Refusal
	return errors.As(err, &refused) && (refused.Reason == sampling.SlowPath || refused.Reason == sampling.SlowFetch)
}

// measure fetches the box a few times: the first view, and the path's worst
// time as far as a start can know it.
func (s *session) measure(ctx context.Context) (time.Duration, error) {
	worst, good := time.Duration(0), 0
	var last error
	for range warmUp {
		b := s.spare()
		if b == nil {
			break
		}
		began := now()
		b.post(ctx, s.mem, len(b.users)/pageSize)
		if !b.wait(ctx, s.timer, patience) {
			last = errors.New("no answer")
			continue
		}
		if last = b.batch.Err(); last == nil {
			last = s.take(b)
		}
		if last == nil {
			good++
			// The slowest of several is an outlier of this side more often
			// than of the path; the first maps the pages.
			if took := now() - began; good > 1 {
				worst = max(worst, took)
			}
		}
	}
	if good < 2 {
		return 0, fmt.Errorf("fetch sensor box: %w", last)
	}
	return worst, ctx.Err()
}

func (s *session) spare() *buffers {
	for _, b := range s.pool {
		if b.free() {
			return b
		}
	}
	return nil
}

// run samples until the context ends (0) or the target is no longer the one
// that was opened: IsGone, IsReplaced or IsWithdrawn.
func (s *session) run(ctx context.Context, wake *alarm) sensorbox.Outcome {
	for wake.sleepUntil(s.schedule.next) == nil {
		switch o := s.step(ctx); o {
		case sensorbox.IsGone, sensorbox.IsReplaced, sensorbox.IsWithdrawn:
			return o
		}
		if s.refusal = s.replan(); s.refusal != nil {
			return 0
		}
	}
	return 0
}

// replan keeps T the least L of what is watched now: sensors come and go, and
// one with a shorter deadline needs more samples.
func (s *session) replan() error {
	if s.shape == s.planned {
		return nil
	}
	s.planned = s.shape
	plan, err := s.planFor(s.fetch)
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	s.tell()
	cfg := s.m.opts.Detector
	cfg.Kept = s.kept
	t := cfg.LeastDeadline(&s.view)
	s.m.mu.Lock()
	s.det.SetPlan(plan.Period, s.kept)
	s.m.mu.Unlock()
	if t == s.deadline {
		return nil
	}
	s.deadline, s.schedule = t, schedule{period: plan.Period, next: now() + plan.Period}
	s.m.replanned(plan)
	return nil
}

// step is one sample.
func (s *session) step(ctx context.Context) sensorbox.Outcome {
	in := s.read(ctx, s.schedule.next)
	if ctx.Err() != nil {
		return 0 // an interrupted read says nothing
	}
	s.schedule.advance(now())
	s.m.count(&in)
	s.detect(in)
	if declares(s.events) {
		// Before a death is announced: is it the machine that was watched?
		if o, why := s.identity(ctx); o != 0 {
			in.Outcome, in.Why = o, why
			s.detect(in)
		}
	}
	for _, ev := range s.events {
		s.m.opts.Sink(s.target, ev)
	}
	return in.Outcome
}

func (s *session) detect(in sensorbox.Input) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.events = s.det.Step(in, s.events[:0])
}

func declares(events []sensorbox.Event) bool {
	for i := range events {
		if events[i].Kind == sensorbox.Failed {
			return true
		}
	}
	return false
}

// countUserPages remembers how many pages of user sensors each sample has to
// bring, the directory included; all are looked at once a second.
func (s *session) countUserPages() {
	s.userPages = 0
	for i := range s.view.Sensors {
		sensor := &s.view.Sensors[i]
		if _, named := s.m.opts.Detector.Rules[sensor.Name()]; named && sensor.Page > 0 {
			s.userPages = max(s.userPages, 1+int(sensor.Page))
		}
	}
}
