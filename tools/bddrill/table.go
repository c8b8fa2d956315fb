// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"lazystate/bench/result"
	"lazystate/tools/bdmon/daemon"
)

// drillRun is one run of a drill. Durations are in ns in JSON.
type drillRun struct {
	Drill      string        `json:"drill"`
	Carrier    carrier       `json:"carrier"` // from the monitor to the machine
	Kernel     string        `json:"kernel"`
	Accel      string        `json:"accel"`
	Repair     bool          `json:"repair"`
	Rogues     string        `json:"rogues,omitempty"`
	Expect     string        `json:"expect"`
	OK         bool          `json:"ok"`
	Why        string        `json:"why,omitempty"`
	Detected   time.Duration `json:"detected_ns"`
	Bound      bool          `json:"bound,omitempty"` // the monitor saw the crossing before the look-out: all times since it are upper bounds
	Diagnosed  time.Duration `json:"diagnosed_ns"`
	Killed     int           `json:"killed"`
	Rounds     int           `json:"rounds"`
	Frozen     time.Duration `json:"frozen_ns"`
	Walk       time.Duration `json:"walk_ns"`
	Reads      uint64        `json:"reads"`
	Batches    uint64        `json:"batches"`
	Healed     time.Duration `json:"healed_ns"`
	Before     time.Duration `json:"useful_before_ns"`
	During     time.Duration `json:"useful_during_ns"`
	After      time.Duration `json:"useful_after_ns"`
	RawBefore  time.Duration `json:"useful_raw_before_ns"` // as they were, with what the vCPUs waited for the host
	RawAfter   time.Duration `json:"useful_raw_after_ns"`
	HostBefore float64       `json:"host_share_before"` // of the vCPUs' time, waited for the host; taken off before and after
	HostAfter  float64       `json:"host_share_after"`
	Bystanders int           `json:"bystanders"`
	Harmed     []string      `json:"harmed,omitempty"`
	Lost       string        `json:"lost,omitempty"`
	Took       time.Duration `json:"took_ns"` // the whole run, boot to teardown

	machine result.Machine // it ran on
}

// fill takes the times of a repair, all from the crossing of L.
func (r *drillRun) fill(s state, in daemon.Incident) {
	r.Detected, r.Bound = s.detectedAfter(), s.bound
	r.Diagnosed = in.Diagnosed.Sub(s.crossed)
	r.Frozen, r.Rounds, r.Killed = in.Frozen, in.Rounds, s.killed()
	r.Walk, r.Reads, r.Batches = in.Walk, in.Reads, in.Batches
}

func printTable(w io.Writer, rows []drillRun, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(rows)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "drill\tkernel\trepair\tdetected\tdiagnosed\tkilled\thealed\tuseful before\tduring\tafter\tafter/before (raw)\tbystanders\tresult")
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(r.cells(), "\t"))
	}
	return t.Flush()
}

func (r *drillRun) cells() []string {
	repaired, by := "no", "-"
	if r.Repair {
		repaired, by = "yes", fmt.Sprintf("%d of %d untouched", r.Bystanders-len(r.Harmed), r.Bystanders)
	}
	return []string{
		r.Drill, strings.TrimSuffix(r.Kernel, "-amd64"), repaired, at(r.Detected, r.Bound), short(r.Diagnosed), count(r.Killed, r.Repair),
		short(r.Healed), short(r.Before), short(r.During), short(r.After), r.ratios(), by, r.result(),
	}
}

// ratios is what healed is judged by, and the same with the host's part in it.
func (r *drillRun) ratios() string {
	if r.Before <= 0 || r.After <= 0 || r.RawBefore <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f)", float64(r.After)/float64(r.Before), float64(r.RawAfter)/float64(r.RawBefore))
}

func (r *drillRun) result() string {
	switch {
	case !r.OK:
		return "FAILED: " + strings.SplitN(r.Why, "\n", 2)[0]
	case r.Lost != "":
		return "LOST: " + r.Lost
	}
	return r.Expect
}

// at prints a detection.
func at(detected time.Duration, bound bool) string {
	if bound {
		return "<" + short(detected)
	}
	return short(detected)
}

func count(n int, known bool) string {
	if !known {
		return "-"
	}
	return fmt.Sprint(n)
}

func short(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < 10*time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}
