// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"fmt"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/repair"
	"lazystate/sensorbox"
)

// Processes reads the target's process table.
func Processes(ctx context.Context, t *backdoor.Target) ([]Process, error) {
	list, err := t.Tasks(ctx, backdoor.WalkOptions{})
	if err != nil {
		return nil, err
	}
	all := make([]Process, 0, len(list.Tasks))
	for i := range list.Tasks {
		p := &list.Tasks[i]
		all = append(all, Process{
			PID: p.PID, PPID: p.PPID, UID: p.UID, EUID: p.EUID, Comm: Text(p.Comm), State: p.StateLetter(), Flags: p.Flags, Threads: p.Threads, StartNs: p.StartTime,
			CPUNs: p.UTime + p.STime, RSS: p.RSS(), RSSError: p.RSSError, Swap: p.Swap, PgTables: p.PgTables, Footprint: p.Footprint(), Kernel: p.KThread(),
		})
	}
	return all, nil
}

// Regions shows the region table.
func Regions(t *backdoor.Target) []Region {
	var all []Region
	for _, r := range t.Regions() {
		all = append(all, Region{
			Name: Text(r.Name), Kind: uapi.RegionKindName(r.Kind), Perm: r.Perm.String(),
			Addr: r.Addr, Len: r.Len, GPA: r.GPA, Key: r.Key, MMIO: r.MMIO,
		})
	}
	return all
}

// String is the line for a reader.
func (s Salvaged) String() string {
	at := fmt.Sprintf("%8.1f ms", float64(s.AfterUs)/1000)
	if s.Step != "" {
		return at + "  " + s.Step
	}
	text := fmt.Sprintf("session %.12s of %s, client %s", s.Session, s.Service, s.Client)
	switch {
	case s.Error != "":
		return fmt.Sprintf("%11s  %s: %s", "lost", text, s.Error)
	case s.Would:
		at = fmt.Sprintf("%11s", "would live")
	case s.Here:
		at = fmt.Sprintf("%11s", "lives")
	}
	if s.Held {
		text += ", stopped half-updated"
	}
	for _, n := range s.Notes {
		text += "; " + n
	}
	return at + "  " + text
}

// Manifest shows what the target says about itself.
func Manifest(ctx context.Context, t *backdoor.Target) ([]Entry, error) {
	m, err := t.ReadManifest(ctx)
	if err != nil {
		return nil, err
	}
	texts, values, members := m.Names()
	var all []Entry
	for _, name := range texts {
		v, _ := m.String(name)
		all = append(all, Entry{Text(name), "string", Text(v)})
	}
	for _, name := range values {
		v, _ := m.Value(name)
		all = append(all, Entry{Text(name), "value", fmt.Sprintf("%#x", v)})
	}
	for _, name := range members {
		v, _ := m.Offset(name)
		all = append(all, Entry{Text(name), "offset", fmt.Sprintf("%d+%d", v.Off, v.Size)})
	}
	return all, nil
}

// Sensors shows what a detector makes of a box.
func Sensors(readings []sensorbox.Reading) []Sensor {
	all := make([]Sensor, 0, len(readings))
	for i := range readings {
		r := &readings[i]
		all = append(all, Sensor{
			Name: Text(r.Name()), Class: r.Class.String(), Flags: flags(r.Flags), Value: r.Value, Limit: r.Applied, Contract: r.Limit,
			Unit: Text(r.Unit()), Watched: r.Watched, Firing: r.Firing, StallUs: r.Stall.Microseconds(), Since: r.Since,
		})
	}
	return all
}

func flags(f sensorbox.Flags) []string {
	names := []string{}
	for _, c := range []struct {
		bit  sensorbox.Flags
		name string
	}{{sensorbox.Minimum, "min"}, {sensorbox.Clock, "clock"}, {sensorbox.Orphaned, "orphaned"}, {sensorbox.User, "user"}, {sensorbox.Heartbeat, "heartbeat"}} {
		if f&c.bit != 0 {
			names = append(names, c.name)
		}
	}
	return names
}

// FetchSensors reads the box once, without a monitor: nothing is firing,
// because a stall takes two looks.
func FetchSensors(ctx context.Context, t *backdoor.Target) ([]Sensor, error) {
	v, err := (&repair.Patient{Name: "target", Target: t}).Sensors(ctx)
	if err != nil {
		return nil, err
	}
	det := sensorbox.NewDetector(sensorbox.Config{Period: time.Second})
	det.Step(sensorbox.Input{Outcome: sensorbox.Answered, View: v}, nil)
	return Sensors(det.Readings()), nil
}

// NewEvent shows an event of a target.
func NewEvent(target string, ev sensorbox.Event) Event {
	return Event{
		Time: time.Now(), Target: target, Kind: ev.Kind.String(), Sensor: Text(ev.Sensor), Value: ev.Value, Limit: ev.Limit,
		Contract: ev.TargetLimit, StallUs: ev.Stall.Microseconds(), Partial: ev.Partial, Text: Text(ev.String()),
	}
}
