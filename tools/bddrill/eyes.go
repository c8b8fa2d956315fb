// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"lazystate/backdoor"
	"lazystate/internal/pause"
	"lazystate/repair"
	"lazystate/repair/drill"
	"lazystate/sensorbox"
	"lazystate/tools/bdmon/daemon"
)

// eyes read a machine apart from the monitor: what the drill believes.
type eyes struct {
	name   string
	mem    backdoor.Memory
	target *backdoor.Target
}

func (e *eyes) close() error { return e.mem.Close() }

// sensors by name.
func (e *eyes) sensors(ctx context.Context) (map[string]sensorbox.Sensor, error) {
	p := &repair.Patient{Name: e.name, Target: e.target}
	v, err := p.Sensors(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]sensorbox.Sensor{}
	for i := range v.Sensors {
		all[v.Sensors[i].Name()] = v.Sensors[i]
	}
	return all, nil
}

// crowded counts the processes themselves: NPROCS is a census, and older.
func (e *eyes) crowded(ctx context.Context, now map[string]sensorbox.Sensor) bool {
	list, err := e.target.Tasks(ctx, backdoor.WalkOptions{})
	if err != nil {
		return false
	}
	n := uint64(0)
	for i := range list.Tasks {
		if !list.Tasks[i].KThread() {
			n++
		}
	}
	l := now[repair.SensorNProcs].Limit
	return l > 0 && n > l
}

// stamped waits for the machine's last words and returns when they were there, or
// when ctx ended.
func (e *eyes) stamped(ctx context.Context) time.Time {
	for {
		if p, err := e.target.PanicStamp(ctx); p != nil || err != nil || pause.For(ctx, lookEvery) != nil {
			return time.Now()
		}
	}
}

// beyond names the drill's sensors that are beyond L; a pressure sensor counts
// from base.
func beyond(d *drill.Drill, now, base map[string]sensorbox.Sensor) []string {
	var all []string
	for _, name := range daemon.Sensors(d) {
		s, ok := now[name]
		switch {
		case !ok || s.Limit == 0:
		case s.Class == sensorbox.Pressure && s.Value > base[name].Value+s.Limit,
			s.Class == sensorbox.Level && s.Value > s.Limit:
			all = append(all, fmt.Sprintf("%s %d", name, s.Value))
		}
	}
	return all
}
