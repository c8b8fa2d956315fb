// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestScenarios runs the stories of testdata. Directives:
//
//	table            one group a line: uid=1000 n=400 pid=100 comm=bomb ppid=1 rss=4096 ... ("chain" makes each the child of the last)
//	forks            uid rate, one a line
//	spare            uid N | comm NAME [uid N] [most N] | root
//	diagnose         a policy: KIND LIMIT, or all|any|weighted LIMIT with one [WEIGHT] KIND LIMIT a line
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var table Table
		var spare Spare
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "table":
				table = Table{Now: time.Hour}
				for _, line := range lines(d.Input) {
					table.Processes = append(table.Processes, group(t, line)...)
				}
				return fmt.Sprintf("%d processes\n", len(table.Processes))
			case "forks":
				table.Forks = map[uint32]float64{}
				for _, line := range lines(d.Input) {
					var uid uint32
					var rate float64
					fmt.Sscan(line, &uid, &rate)
					table.Forks[uid] = rate
				}
				return "ok\n"
			case "spare":
				spare = parseSpare(t, d.Input)
				return "ok\n"
			case "diagnose":
				p := parsePolicy(t, d.Input)
				if err := p.Check(); err != nil {
					return err.Error() + "\n"
				}
				return show(Diagnose(table, p, spare))
			}
			t.Fatalf("%s: unknown directive %s", d.Pos, d.Cmd)
			return ""
		})
	})
}

func lines(s string) []string { return strings.Split(strings.TrimSpace(s), "\n") }

func group(t *testing.T, line string) []Process {
	p := Process{PPID: 1, State: 'S', Threads: 1}
	n, chain := 1, false
	mm := uint64(0)
	for _, word := range strings.Fields(line) {
		key, value, _ := strings.Cut(word, "=")
		num, err := strconv.ParseInt(value, 0, 64)
		switch {
		case key == "comm":
			p.Comm = value
		case key == "state":
			p.State = value[0]
		case key == "chain":
			chain = true
		case key == "kernel":
			p.Kernel = true
		case key == "protected":
			p.Protected = true
		case err != nil:
			t.Fatalf("%q: %v", line, err)
		case key == "uid":
			p.UID, p.EUID = uint32(num), uint32(num)
		case key == "euid":
			p.EUID = uint32(num)
		case key == "pid":
			p.PID = int32(num)
		case key == "ppid":
			p.PPID = int32(num)
		case key == "n":
			n = int(num)
		case key == "age":
			p.Start = time.Hour - time.Duration(num)*time.Millisecond
		case key == "rss":
			p.RSS = uint64(num)
		case key == "swap":
			p.Swap = uint64(num)
		case key == "pt":
			p.PageTables = uint64(num)
		case key == "mm":
			mm = uint64(num)
		case key == "threads":
			p.Threads = int(num)
		default:
			t.Fatalf("%q: unknown %q", line, word)
		}
	}
	all := make([]Process, n)
	for i := range all {
		all[i] = p
		all[i].PID += int32(i)
		if chain && i > 0 {
			all[i].PPID = all[i-1].PID
		}
		all[i].MM = mm
		if mm == 0 && !p.Kernel {
			all[i].MM = uint64(all[i].PID) << 12
		}
	}
	return all
}

func parseSpare(t *testing.T, input string) Spare {
	var s Spare
	for _, line := range lines(input) {
		w := strings.Fields(line)
		switch {
		case len(w) == 0:
		case w[0] == "root":
			s.Root = true
		case w[0] == "uid":
			s.UIDs = append(s.UIDs, uint32(atoi(t, w[1])))
		case w[0] == "comm":
			c := Comm{Name: w[1], UID: AnyUID}
			for i := 2; i+1 < len(w); i += 2 {
				if w[i] == "uid" {
					c.UID = uint32(atoi(t, w[i+1]))
				} else {
					c.Most = atoi(t, w[i+1])
				}
			}
			s.Comms = append(s.Comms, c)
		}
	}
	return s
}

func parsePolicy(t *testing.T, input string) Policy {
	all := lines(input)
	w := strings.Fields(all[0])
	switch w[0] {
	case "all", "any":
		var parts []Policy
		for _, l := range all[1:] {
			parts = append(parts, parseBasic(t, strings.Fields(l)))
		}
		if w[0] == "all" {
			return All(parts...)
		}
		return Any(parts...)
	case "weighted":
		var terms []Term
		for _, l := range all[1:] {
			f := strings.Fields(l)
			terms = append(terms, Term{number(t, f[0]), parseBasic(t, f[1:])})
		}
		return Weighted(number(t, w[1]), terms...)
	}
	return parseBasic(t, w)
}

func parseBasic(t *testing.T, w []string) Basic {
	k := slices.Index(kindNames, w[0])
	if k < 1 {
		t.Fatalf("no policy %q", w[0])
	}
	return Basic{Kind(k), number(t, w[1])}
}

func number(t *testing.T, s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func atoi(t *testing.T, s string) int { return int(number(t, s)) }

func show(d Diagnosis) string {
	var b strings.Builder
	for _, f := range d.Findings {
		fmt.Fprintln(&b, f)
		for _, p := range f.Parts {
			fmt.Fprintln(&b, "  ", p)
		}
	}
	if len(d.Culprits) == 0 {
		fmt.Fprintln(&b, "nobody is a culprit")
	} else {
		first, last := d.Culprits[0], d.Culprits[len(d.Culprits)-1]
		fmt.Fprintf(&b, "kill %d of uid %d: pids %d to %d\n", len(d.Culprits), first.UID, first.PID, last.PID)
	}
	for _, s := range d.Spared {
		fmt.Fprintf(&b, "spare pid %d %s: %s\n", s.PID, s.Comm, s.Why)
	}
	for _, n := range d.Notes {
		fmt.Fprintln(&b, "note:", n)
	}
	return b.String()
}
