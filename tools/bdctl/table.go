// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	ucli "github.com/urfave/cli/v2"

	"lazystate/tools/control"
)

// table prints rows of one kind for people; --json prints them for programs.
type table[T any] struct {
	head string
	row  func(T) []any
}

func (t table[T]) print(c *ucli.Context, rows []T) error {
	if c.Bool("json") {
		if rows == nil {
			rows = []T{}
		}
		return json.NewEncoder(c.App.Writer).Encode(rows)
	}
	w := tabwriter.NewWriter(c.App.Writer, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(t.head, " ", "\t"))
	for _, r := range rows {
		cells := t.row(r)
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

var targetTable = table[control.Target]{"NAME UP VERDICT CARRIER PERIOD R FETCH SAMPLES LOST LATE LOCKED ERROR", func(t control.Target) []any {
	return []any{t.Name, yes(t.Up), t.Verdict, t.Carrier, us(t.PeriodUs), t.R, us(t.FetchUs), t.Samples, t.Lost, t.Late, yes(t.Locked), control.Text(t.Error)}
}}

var ownerTable = table[control.Ownership]{"TARGET OWNER EPOCH HERE PATH FOR LEASE MONITORS WHY", func(o control.Ownership) []any {
	var monitors []string
	for _, m := range o.Monitors {
		state := m.Path
		if !m.Alive {
			state = "down"
		}
		monitors = append(monitors, control.Text(m.Monitor)+":"+state)
	}
	lease := "-"
	if o.LeaseLeft != nil {
		lease = seconds(*o.LeaseLeft)
	}
	why := strings.Join(append(o.Conflicts, o.Why), "; ")
	return []any{o.Target, dash(control.Text(o.Owner)), o.Epoch, o.Phase, o.Path, seconds(o.Seconds), lease, dash(strings.Join(monitors, ",")), control.Text(strings.TrimSuffix(why, "; "))}
}}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
}

var sensorTable = table[control.Sensor]{"NAME CLASS FLAGS VALUE LIMIT TARGET-LIMIT UNIT STATE", func(s control.Sensor) []any {
	return []any{s.Name, s.Class, dash(strings.Join(s.Flags, ",")), s.Value, limit(s, s.Limit), limit(s, s.Contract), dash(s.Unit), state(s)}
}}

var processTable = table[control.Process]{"PID PPID UID S THREADS RSS SWAP PGTABLES FOOTPRINT CPU FLAGS COMM", func(p control.Process) []any {
	comm := p.Comm
	if p.Kernel {
		comm = "[" + comm + "]"
	}
	cpu := time.Duration(p.CPUNs).Round(time.Millisecond)
	return []any{p.PID, p.PPID, p.UID, p.State, p.Threads, p.RSS, p.Swap, p.PgTables, p.Footprint, cpu, fmt.Sprintf("%#x", p.Flags), comm}
}}

var regionTable = table[control.Region]{"NAME KIND PERM MEMORY ADDR LEN GPA KEY", func(r control.Region) []any {
	memory := "ram"
	if r.MMIO {
		memory = "mmio"
	}
	return []any{r.Name, r.Kind, r.Perm, memory, fmt.Sprintf("%#x", r.Addr), r.Len, fmt.Sprintf("%#x", r.GPA), fmt.Sprintf("%#x", r.Key)}
}}

var manifestTable = table[control.Entry]{"NAME TYPE VALUE", func(e control.Entry) []any { return []any{e.Name, e.Type, e.Value} }}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func us(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// limit shows a deadline as a time.
func limit(s control.Sensor, l uint64) any {
	switch {
	case l == 0:
		return "-"
	case s.Class == "progress":
		return us(int64(l))
	}
	return l
}

func state(s control.Sensor) string {
	switch {
	case s.Firing && s.Class == "progress":
		return "stalled " + us(s.StallUs).String()
	case s.Firing:
		return "exceeded"
	case !s.Watched:
		return "informative"
	}
	return "ok"
}
