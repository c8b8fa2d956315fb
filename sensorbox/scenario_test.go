// SPDX-License-Identifier: Apache-2.0

package sensorbox

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"lazystate/backdoor/uapi"
)

// TestScenarios plays the stories in testdata: a target, a monitor that reads
// it every period, and what it finds.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var s scenario
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			out, err := s.command(d)
			if err != nil {
				t.Fatalf("%s: %v", d.Pos, err)
			}
			return out
		})
	})
}

type scenario struct {
	cfg       Config
	box, user fakeBox
	poke      func(box, users []byte) // damages the bytes on their way
	now       time.Duration
	view      View
	det       *Detector
	lock      Lock
	panic     string
	last      []Event
}

func (s *scenario) command(d *datadriven.TestData) (string, error) {
	switch d.Cmd {
	case "target":
		return "", s.target(d)
	case "sample":
		return s.sample(d)
	case "ack":
		return "", s.ack(d.CmdArgs[0].Key)
	case "retell":
		s.det.Retell()
		return "", nil
	case "lock":
		return "", s.setLock(d)
	case "clock": // the box's, which stands still in a freeze
		s.box.clock = uint64(mustDuration(d.CmdArgs[0].Key))
		return "", nil
	case "panic":
		s.panic = d.Input
		return "", nil
	case "damage":
		return "", s.damage(d)
	case "release":
		name := d.CmdArgs[0].Key
		s.box.sensor(name).ID = 0
		s.box.generation++
		return "", nil
	case "readings":
		return s.readings(), nil
	}
	return "", fmt.Errorf("unknown command %s", d.Cmd)
}

// target [period=] [needs-cpu] [silence=], then a sensor a line:
// name class limit [flags...]; rule name [limit]
func (s *scenario) target(d *datadriven.TestData) error {
	*s = scenario{cfg: Config{Period: 10 * time.Millisecond, Rules: map[string]Rule{}}}
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "period":
			s.cfg.Period = mustDuration(a.Vals[0])
		case "silence":
			s.cfg.Silence = mustDuration(a.Vals[0])
		case "needs-cpu":
			s.cfg.NeedsCPU = true
		default:
			return fmt.Errorf("unknown argument %s", a.Key)
		}
	}
	for _, line := range strings.Split(d.Input, "\n") {
		f := strings.Fields(line)
		if f[0] == "rule" {
			r := Rule{}
			if len(f) > 2 {
				l := limit(f[2])
				r.Limit = &l
			}
			s.cfg.Rules[f[1]] = r
			continue
		}
		s.add(f)
	}
	s.det = NewDetector(s.cfg)
	return nil
}

func (s *scenario) add(f []string) {
	class := map[string]Class{"progress": Progress, "level": Level, "pressure": Pressure}[f[1]]
	flags := Flags(0)
	box := &s.box
	for _, name := range f[3:] {
		flags |= map[string]Flags{"clock": Clock, "min": Minimum, "user": User, "heartbeat": Heartbeat}[name]
		if name == "user" {
			box = &s.user
		}
	}
	r := box.add(f[0], class, limit(f[2]), flags)
	if box == &s.user {
		r.ID |= 1000 << 16
	}
}

// sample [n] [late=] [lost|gone|replaced|withdrawn] [probe=], then what
// changes before each: "tick +1", "NPROCS 500", "worker orphaned".
func (s *scenario) sample(d *datadriven.TestData) (string, error) {
	in := Input{Outcome: Answered}
	n := 1
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "late":
			in.Late = mustDuration(a.Vals[0])
		case "probe":
			in.Probe = map[string]Probe{"good": ProbeGood, "failed": ProbeFailed}[a.Vals[0]]
		case "lost":
			in.Outcome, in.Why = NoAnswer, "no answer"
		case "gone":
			in.Outcome, in.Why = IsGone, "power lost"
		case "replaced":
			in.Outcome, in.Why = IsReplaced, "another boot id"
		case "withdrawn":
			in.Outcome, in.Why = IsWithdrawn, "generation 0"
		default:
			var err error
			if n, err = strconv.Atoi(a.Key); err != nil {
				return "", err
			}
		}
	}
	var b strings.Builder
	for range n {
		if err := s.change(d.Input); err != nil {
			return "", err
		}
		for _, ev := range s.step(in) {
			fmt.Fprintf(&b, "%v: %v\n", ev.At, ev)
		}
	}
	if b.Len() == 0 {
		return "nothing to report\n", nil
	}
	return b.String(), nil
}

// step is one sample that takes 100 us, a period after the last.
func (s *scenario) step(in Input) []Event {
	s.now += s.cfg.Period + in.Late
	in.Start, in.End = s.now, s.now+100*time.Microsecond
	if in.Outcome == Answered {
		box, users := s.box.encode(boxSize), s.user.encodeUsers(1000)
		if s.poke != nil {
			s.poke(box, users)
		}
		if err := s.view.Decode(box, users); err != nil {
			in.Outcome, in.Why = Damaged, err.Error()
		}
		in.View, in.Lock, in.Panic = &s.view, s.lock, s.panic
	}
	s.last = s.det.Step(in, nil)
	return s.last
}

func (s *scenario) change(input string) error {
	for _, line := range strings.Split(input, "\n") {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		r := s.box.sensor(f[0])
		if r == nil {
			r = s.user.sensor(f[0])
		}
		if r == nil || len(f) != 2 {
			return fmt.Errorf("what is %q?", line)
		}
		switch {
		case f[1] == "orphaned":
			r.Flags |= uint16(Orphaned)
		case f[1][0] == '+':
			r.Value += limit(f[1][1:])
		default:
			r.Value = limit(f[1])
		}
	}
	return nil
}

func (s *scenario) ack(name string) error {
	for _, r := range s.det.Readings() {
		if r.Name() == name {
			kind := firingKind(r.Class)
			s.det.Ack(Event{Kind: kind, Key: r.Key, Sensor: name, Value: r.Value})
			return nil
		}
	}
	return fmt.Errorf("no sensor %s", name)
}

func (s *scenario) setLock(d *datadriven.TestData) error {
	states := map[string]uint32{"free": uapi.LockFree, "held": uapi.LockHeld, "fenced": uapi.LockFenced}
	grants := s.lock.Grants + 1
	if d.CmdArgs[0].Key == "blink" { // held and free again between two samples
		s.lock.Grants = grants
		return nil
	}
	state, ok := states[d.CmdArgs[0].Key]
	if state != uapi.LockHeld {
		grants--
	}
	if !ok {
		return fmt.Errorf("unknown lock state")
	}
	s.lock = Lock{State: state, LeaseEnd: s.lock.LeaseEnd + 1, Grants: grants}
	if len(d.CmdArgs) > 1 { // held lease=: until then, by the box's clock
		s.lock.LeaseEnd = uint64(mustDuration(d.CmdArgs[1].Vals[0]))
	}
	return nil
}

// damage page offset byte: on the way to the monitor; damage none: no more.
func (s *scenario) damage(d *datadriven.TestData) error {
	if d.CmdArgs[0].Key == "none" {
		s.poke = nil
		return nil
	}
	var n [3]int // page, offset, byte
	for i := range n {
		var err error
		if n[i], err = strconv.Atoi(d.CmdArgs[i].Key); err != nil {
			return err
		}
	}
	page, off, v := n[0], n[1], n[2]
	s.poke = func(box, users []byte) {
		if page == 0 {
			box[off] = byte(v)
		} else {
			users[page*pageSize+off] = byte(v)
		}
	}
	return nil
}

func (s *scenario) readings() string {
	var b strings.Builder
	for _, r := range s.det.Readings() {
		fmt.Fprintf(&b, "%s %s V=%d L=%d target's L=%d watched=%v firing=%v stall=%v since=%d\n",
			r.Name(), r.Class, r.Value, r.Applied, r.Limit, r.Watched, r.Firing, r.Stall, r.Since)
	}
	return b.String()
}

func limit(s string) uint64 {
	if d, err := time.ParseDuration(s); err == nil && strings.ContainsAny(s, "smu") {
		return uint64(d.Microseconds())
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func mustDuration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}
