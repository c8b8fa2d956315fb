// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"time"

	"lazystate/sensorbox"
)

// lasting tells by looks at the target whether what called a healer holds on.
// Table 3.1 says when each class of sensor calls; here is when it has settled.
type lasting struct {
	window time.Duration
	levels []Threshold
	others []sensorbox.Event // that are no level's
	motion map[sensorbox.Key]*motion
}

// settles watches what called for the confirm window, whatever it was: a
// burst of pressure or a stall may end by itself as a level does. An incident
// without events was called by hand: there is nothing to watch.
func (p *Plan) settles(ctx context.Context, in *Incident, c Confirm) (bool, error) {
	if in.Confirmed() || len(in.Events) == 0 {
		return false, nil
	}
	l := lasting{window: c.withDefaults().Window, levels: p.Watched, motion: map[sensorbox.Key]*motion{}}
	for _, e := range in.Events {
		if e.Kind != sensorbox.Exceeded {
			l.others = append(l.others, e)
		}
	}
	why, took, err := c.watch(ctx, in, func(ctx context.Context) (map[string]float64, error) {
		return l.look(ctx, in.Patient)
	})
	p.Why, p.Confirm = why, took
	return why != "", err
}

func (l *lasting) look(ctx context.Context, p *Patient) (map[string]float64, error) {
	v, err := p.Sensors(ctx)
	if err != nil {
		return nil, err
	}
	r, err := p.above(v, l.levels)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	for i := range l.others {
		e := &l.others[i]
		on, err := l.lasts(p, v, e, now)
		if err != nil {
			return nil, err
		}
		r[e.Kind.String()+" "+e.Sensor] = holds(on)
	}
	return r, nil
}

// lasts is one look at one event.
func (l *lasting) lasts(p *Patient, v *sensorbox.View, e *sensorbox.Event, now time.Time) (bool, error) {
	switch {
	case e.Kind == sensorbox.Panicked: // nothing comes back from there
		return true, nil
	case e.Sensor == "":
		return l.stands(v, e.Kind == sensorbox.Failed, now), nil
	}
	s := find(v, e.Sensor)
	switch {
	case s == nil && e.Kind == sensorbox.Orphan && len(v.Defects) == 0:
		return false, nil // released
	case s == nil:
		return false, p.missing(v, e.Sensor)
	case e.Kind == sensorbox.Orphan:
		return s.Flags&sensorbox.Orphaned != 0, nil
	case e.Kind == sensorbox.Pressed: // what came within the last half window goes on
		return l.of(s, s.Value).look(s.Value, now).within(l.window / 2), nil
	}
	return l.of(s, e.Value).look(s.Value, now).rests(e.Limit), nil
}

// stands reports whether some progress sensor of the machine stands still, or
// some clock. One with an L longer than the window has stood for longer
// already when it called: if there are only such, the detector is believed.
func (l *lasting) stands(v *sensorbox.View, clocks bool, now time.Time) bool {
	any, still := false, false
	for i := range v.Sensors {
		s := &v.Sensors[i]
		slow := s.Limit == 0 || s.Limit > uint64(l.window/time.Microsecond)
		if s.Class != sensorbox.Progress || s.Flags&sensorbox.User != 0 || clocks && s.Flags&sensorbox.Clock == 0 || slow {
			continue
		}
		any = true
		still = l.of(s, s.Value).look(s.Value, now).rests(s.Limit) || still
	}
	return still || !any
}

// of is a sensor's motion; first is its value before the first look.
func (l *lasting) of(s *sensorbox.Sensor, first uint64) *motion {
	if l.motion[s.Key] == nil {
		l.motion[s.Key] = &motion{seen: true, value: first}
	}
	return l.motion[s.Key]
}

// motion is when a value has changed last, as far as it was looked at.
type motion struct {
	seen  bool
	value uint64
	since time.Duration // at the last look; 0 if it was never seen to change
	at    time.Time
}

func (m *motion) look(value uint64, now time.Time) *motion {
	if m.seen && value != m.value {
		m.at = now
	}
	m.seen, m.value = true, value
	if !m.at.IsZero() {
		m.since = max(now.Sub(m.at), 1)
	}
	return m
}

// within reports whether the value changed not longer ago than d.
func (m *motion) within(d time.Duration) bool { return m.since > 0 && m.since < d }

// rests reports whether it was not seen to change for limit microseconds.
func (m *motion) rests(limit uint64) bool {
	return m.since == 0 || uint64(m.since/time.Microsecond) > limit
}

// holds is a condition without a measure as a multiple of its limit.
func holds(on bool) float64 {
	if on {
		return 2
	}
	return 0
}
