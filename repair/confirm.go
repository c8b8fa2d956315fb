// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lazystate/internal/pause"
	"lazystate/sensorbox"
)

// Confirm is how long a condition must last before a healer acts on it.
// Exhaustion that ends by itself is not the healer's business: a build, a
// burst of short jobs, one kill of the kernel's own OOM handler.
type Confirm struct {
	Window time.Duration // watched at least this long; 2 s if 0
	Most   time.Duration // and at most this long while it declines; 3 windows if 0
	Every  time.Duration // between looks; 100 ms if 0
}

func (c Confirm) withDefaults() Confirm {
	if c.Window == 0 {
		c.Window = 2 * time.Second
	}
	if c.Most == 0 {
		c.Most = 3 * c.Window
	}
	if c.Every == 0 {
		c.Every = 100 * time.Millisecond
	}
	return c
}

// persistShare of the looks must show the condition: a fork bomb's numbers
// flutter around L while its children die and are born.
const persistShare = 0.75

// decline is the share of its peak below which a condition counts as ending.
const decline = 0.9

// series is what the looks at one condition showed.
type series struct {
	looks, above int
	peak, last   float64 // as a multiple of the limit; below 1 it is well
}

func (s *series) add(ratio float64) {
	s.looks++
	if ratio > 1 {
		s.above++
	}
	s.peak, s.last = max(s.peak, ratio), ratio
}

// verdict of a series: it persists, it has settled, or one has to look on.
func (s *series) verdict() (persists, settled bool) {
	share := float64(s.above) / float64(max(s.looks, 1))
	switch {
	case share >= persistShare && s.last > 1 && s.last >= decline*s.peak:
		return true, false
	case s.last <= 1 && share < persistShare:
		return false, true
	}
	return false, false
}

// vigil is the watch over an incident's conditions. A look that fails ends an
// attempt and not the vigil: the next attempt goes on with it.
type vigil struct {
	began time.Time
	all   map[string]*series
}

// watch looks until a condition persists or has settled. look returns how far
// each condition is above its limit (1: at it). It returns why nothing is to be
// done, or "".
func (c Confirm) watch(ctx context.Context, in *Incident, look func(context.Context) (map[string]float64, error)) (string, time.Duration, error) {
	c = c.withDefaults()
	if in.vigil == nil {
		in.vigil = &vigil{time.Now(), map[string]*series{}}
	}
	began, all := in.vigil.began, in.vigil.all
	for {
		ratios, err := look(ctx)
		if err != nil {
			return "", time.Since(began), err
		}
		if len(ratios) == 0 {
			return "", time.Since(began), errors.New("no condition to look at")
		}
		for name, r := range ratios {
			if all[name] == nil {
				all[name] = &series{}
			}
			all[name].add(r)
		}
		if took := time.Since(began); took >= c.Window {
			persists, settled := judge(all)
			late := took >= c.Most
			switch {
			case persists, late && !settled && anyAbove(all):
				return "", took, nil
			case settled, late:
				return fmt.Sprintf("settled within %s", took.Round(time.Millisecond)), took, nil
			}
		}
		if err := pause.For(ctx, c.Every); err != nil {
			return "", time.Since(began), err
		}
	}
}

// judge: one persisting condition is enough, all must have settled.
func judge(all map[string]*series) (persists, settled bool) {
	settled = true
	for _, s := range all {
		p, q := s.verdict()
		persists, settled = persists || p, settled && q
	}
	return persists, settled && !persists
}

func anyAbove(all map[string]*series) bool {
	for _, s := range all {
		if s.last > 1 {
			return true
		}
	}
	return false
}

// ratio is how far a sensor is beyond its limit.
func ratio(value, limit uint64, minimum bool) float64 {
	v, l := float64(value), float64(limit)
	if minimum {
		v, l = l, v
	}
	return v / max(l, 1)
}

func find(v *sensorbox.View, name string) *sensorbox.Sensor {
	for i := range v.Sensors {
		if v.Sensors[i].Name() == name {
			return &v.Sensors[i]
		}
	}
	return nil
}
