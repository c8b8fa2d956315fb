// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"lazystate/backdoor"
	"lazystate/internal/sampling"
	"lazystate/sensorbox"
)

// Monitor watches one target, through reboots and reloads of its module.
type Monitor struct {
	opts Options

	mu      sync.Mutex
	session *session
	status  Status
}

// Status is what a monitor knows of itself and of its target.
type Status struct {
	Up      bool // the last sample was answered
	Plan    sampling.Plan
	Fetch   time.Duration // measured at the start
	Carrier backdoor.Caps
	Verdict sensorbox.Kind
	Error   string   // why there is no session
	Missing []string // sensors that the configuration names and the target does not have
	Unkept  []string // named user sensors with deadlines that no plan keeps

	Samples, Lost, Late uint64        // Late: more than Period/8
	WorstLate           time.Duration // since the session began
	LastAnswer          time.Duration // age

	Readings []sensorbox.Reading
	Defects  []sensorbox.Defect

	answered time.Duration
}

// New returns a monitor that does nothing until Run.
func New(o Options) *Monitor { return &Monitor{opts: o.withDefaults()} }

// Run watches until ctx ends (nil) or the sampling plan is refused for a
// reason that is in the options alone. One that the target or the path may
// cure (its L changes at a reload of its module) is tried again. Status says
// why in any case.
func (m *Monitor) Run(ctx context.Context) error {
	wake, err := newAlarm(ctx)
	if err != nil {
		return err
	}
	defer wake.close()
	var mem backdoor.Memory
	defer func() {
		if mem != nil {
			_ = mem.Close()
		}
	}()
	for ctx.Err() == nil {
		keep, err := m.watch(ctx, wake, &mem)
		m.note(ctx, err)
		if m.opts.hopeless(err) {
			return err
		}
		if !keep && mem != nil {
			if err := mem.Close(); err != nil {
				m.opts.Log.Warn("close target", "err", err)
			}
			mem = nil
		}
		_ = wake.sleepUntil(now() + m.opts.Retry)
	}
	return nil
}

// watch is one session, and whether the memory behind it can serve another.
func (m *Monitor) watch(ctx context.Context, wake *alarm, mem *backdoor.Memory) (keep bool, err error) {
	if *mem == nil {
		opened, err := m.opts.Open(ctx)
		if err != nil {
			return false, err
		}
		*mem = opened
	}
	s, err := newSession(ctx, m, *mem)
	if err != nil {
		return !errors.Is(err, backdoor.ErrGone), fmt.Errorf("watch: %w", err)
	}
	probes, stop := context.WithCancel(ctx)
	defer stop()
	probe := startProber(probes, m.opts.prober(*mem), m.opts.Probe)
	m.mu.Lock()
	s.probe = probe
	m.mu.Unlock()
	o := s.run(ctx, wake)
	return o != sensorbox.IsGone, s.refusal
}

// note keeps and logs why there is no session, once for each reason.
func (m *Monitor) note(ctx context.Context, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.session = nil
	m.status.Up = false
	why := ""
	if err != nil && ctx.Err() == nil {
		why = err.Error()
	}
	if why != "" && why != m.status.Error {
		m.opts.Log.Warn("target is not watched", "err", why)
	}
	m.status.Error = why
}

func (m *Monitor) opened(s *session, plan sampling.Plan, fetch time.Duration) {
	m.mu.Lock()
	m.session = s
	m.status = Status{Up: true, Plan: plan, Fetch: fetch, Carrier: s.mem.Caps(), answered: now()}
	m.mu.Unlock()
	m.opts.Log.Info("watching target", "boot", s.target.BootID().String(), "period", plan.Period, "samples", plan.R, "fetch", fetch)
	if m.opts.Opened != nil {
		m.opts.Opened(s.target)
	}
}

// missing keeps and logs the names that the configuration has and the target
// has not, and users' sensors whose deadlines no plan keeps, when they change.
func (m *Monitor) missing(names, unkept []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(names) > 0 && !slices.Equal(names, m.status.Missing) {
		m.opts.Log.Error("the configuration names sensors that the target does not have", "sensors", names)
	}
	if len(unkept) > 0 && !slices.Equal(unkept, m.status.Unkept) {
		m.opts.Log.Error("the deadlines of these user sensors are too short to be kept", "sensors", unkept)
	}
	m.status.Missing, m.status.Unkept = names, unkept
}

func (m *Monitor) replanned(plan sampling.Plan) {
	m.mu.Lock()
	m.status.Plan = plan
	m.mu.Unlock()
	m.opts.Log.Info("the target's least deadline has changed", "period", plan.Period, "samples", plan.R)
}

func (m *Monitor) count(in *sensorbox.Input) {
	m.mu.Lock()
	defer m.mu.Unlock()
	st := &m.status
	st.Samples++
	st.WorstLate = max(st.WorstLate, in.Late)
	if in.Late > st.Plan.Period/8 {
		st.Late++
	}
	st.Up = in.Outcome == sensorbox.Answered
	if !st.Up {
		st.Lost++
		return
	}
	st.answered = in.End
	if m.opts.Fetched != nil {
		m.opts.Fetched(in.End - in.Start)
	}
}

func (m *Monitor) lastAnswer() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status.answered
}

// Ack tells the detector that an event has been handled.
func (m *Monitor) Ack(ev sensorbox.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session != nil {
		m.session.det.Ack(ev)
	}
}

// Retell reports again whatever stands, for who begins to act on it.
func (m *Monitor) Retell() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session != nil {
		m.session.det.Retell()
	}
}

// Reach is what this side knows of its path to the target.
type Reach struct {
	Open   bool          // there is a session
	Age    time.Duration // of the last answer
	Period time.Duration
	Probe  sensorbox.Probe // the last one, whenever it was
	Why    string          // the probe failed
}

// Reach costs little: it may be asked many times a second.
func (m *Monitor) Reach() Reach {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := Reach{Open: m.session != nil, Period: m.status.Plan.Period}
	if m.session != nil {
		r.Age = now() - m.status.answered
		r.Probe, r.Why = m.session.probe.last()
	}
	return r
}

// Target returns the machine being watched, nil if there is none.
func (m *Monitor) Target() *backdoor.Target {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session == nil {
		return nil
	}
	return m.session.target
}

// Status returns a copy of what is known now.
func (m *Monitor) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	st := m.status
	if st.answered > 0 {
		st.LastAnswer = now() - st.answered
	}
	if s := m.session; s != nil {
		st.Verdict = s.det.Verdict()
		st.Carrier = s.mem.Caps()
		st.Readings = s.det.Readings()
		st.Defects = append(st.Defects, s.view.Defects...)
	}
	return st
}
