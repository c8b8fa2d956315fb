// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/sensorbox"
)

var failed = sensorbox.Event{Kind: sensorbox.Failed, Sensor: "TICKS.0"}

// hungSick is a machine both CPUs of which spin.
func hungSick(t *testing.T, opts ...bdtest.Option) *sick {
	m := newSick(t, opts...)
	stop := ticking(m)
	stop(0)
	stop(1)
	time.Sleep(20 * time.Millisecond)
	m.target.Hang(true)
	return m
}

// quickly is a last resort that has already waited for its cool-down.
func quickly() *LastResort {
	l := NewLastResort(ResetOptions{Confirm: time.Millisecond, CoolDown: time.Hour, Bound: time.Second})
	l.next = time.Time{}
	return l
}

func (m *sick) rebooted() bool {
	root, err := m.target.Memory().Root(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	return backdoor.BootID(root[uapi.RootBootIDOff:]) != m.patient.Target.BootID()
}

// spared fails if the machine was reset after all.
func (m *sick) spared(reset bool, steps ...string) {
	m.t.Helper()
	if reset || m.rebooted() {
		m.t.Error("the machine was reset")
	}
	if d := cmp.Diff(steps, m.log.steps(m.t)); d != "" {
		m.t.Errorf("audit (want -, got +):\n%s", d)
	}
}

func TestResetOfAMachineThatIsLost(t *testing.T) {
	for name, lose := range map[string]func(*sick){
		"all CPUs spin": func(*sick) {},
		"panic":         func(m *sick) { m.target.Crash(uapi.PanicPanic, "bad day") },
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			m := hungSick(t)
			lose(m)
			reset, err := quickly().Consider(t.Context(), m.patient, failed)
			if err != nil || !reset || !m.rebooted() {
				t.Errorf("reset %v, %v", reset, err)
			}
			if d := cmp.Diff([]string{"event", "reset", "result", "end"}, m.log.steps(t)); d != "" {
				t.Errorf("audit (want -, got +):\n%s", d)
			}
		}))
	}
}

func TestNoResetOfWhatAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		why  string
		sick func(m *sick)
	}{
		"one CPU of two": {"some CPU takes interrupts", func(m *sick) { ticking(m)(1) }},
		"well":           {"some CPU takes interrupts", func(m *sick) { ticking(m) }},
		"clocks stand, lock works": {"it answers a request for the lock", func(m *sick) {
			stop := ticking(m)
			stop(0)
			stop(1)
		}},
		"fenced": {"it is fenced", func(m *sick) {
			if err := m.patient.Target.Fence(m.t.Context(), backdoor.FenceOptions{Key: key}); err != nil {
				m.t.Fatal(err)
			}
		}},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			m := newSick(t, bdtest.WithFence())
			c.sick(m)
			time.Sleep(20 * time.Millisecond)
			reset, err := quickly().Consider(t.Context(), m.patient, failed)
			if err != nil {
				t.Error(err)
			}
			m.spared(reset, "event", "verdict", "end")
			if !strings.Contains(m.log.b.String(), c.why) {
				t.Errorf("log lacks %q:\n%s", c.why, m.log.b.String())
			}
		}))
	}
}

// TestNoResetTwice: the next hang within the cool-down is waited out, and a
// monitor that has just started waits too.
func TestNoResetTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := hungSick(t)
		for name, l := range map[string]*LastResort{"just started": NewLastResort(ResetOptions{}), "just reset": quickly()} {
			l.next = time.Now().Add(l.opt.CoolDown)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			reset, err := l.Consider(ctx, m.patient, failed)
			cancel()
			if reset || !errors.Is(err, context.DeadlineExceeded) || m.rebooted() {
				t.Errorf("%s: reset %v, %v", name, reset, err)
			}
		}
		m.spared(false, "event", "wait", "end", "event", "wait", "end")
		l := quickly()
		if _, err := l.Consider(t.Context(), m.patient, failed); err != nil || time.Until(l.next) < 50*time.Minute {
			t.Errorf("the next may be at %v, %v", l.next, err)
		}
	})
}

func TestResetIsRefused(t *testing.T) {
	errHand := errors.New("held by hand")
	for name, c := range map[string]struct {
		want error
		set  func(*sick, *LastResort)
	}{
		"dry run":     {ErrDryRun, func(m *sick, _ *LastResort) { m.patient.DryRun = true }},
		"full log":    {errFull, func(m *sick, _ *LastResort) { m.log.fail = func([]byte) error { return errFull } }},
		"held":        {errHand, func(_ *sick, l *LastResort) { l.opt.Enter = func() (func(), error) { return nil, errHand } }},
		"only reader": {backdoor.ErrReadOnly, func(m *sick, _ *LastResort) { m.target.Memory().ReadOnly(true) }},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			m, l := hungSick(t), quickly()
			c.set(m, l)
			reset, err := l.Consider(t.Context(), m.patient, failed)
			if reset || !errors.Is(err, c.want) || m.rebooted() {
				t.Errorf("reset %v, %v", reset, err)
			}
		}))
	}
}

// TestResetOutlivesItsCaller: the new boot may be seen before the fence
// command has ended; it is not broken off in the middle.
func TestResetOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, l := hungSick(t), quickly()
		ctx, cancel := context.WithCancel(t.Context())
		in := &Incident{ID: "i", Patient: m.patient}
		h, err := l.condemn(ctx, in)
		if err != nil || h == nil {
			t.Fatalf("verdict %+v, %v", h, err)
		}
		cancel()
		if reset, err := l.reset(ctx, in, m.target.Memory(), h); !reset || err != nil {
			t.Errorf("reset %v, %v", reset, err)
		}
	})
}
