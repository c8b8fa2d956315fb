// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"lazystate/backdoor/uapi"
)

// TestScenarios plays the stories in testdata/scenario: monitors that ask, and what the
// guard lets through to the target.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenario", func(t *testing.T, path string) {
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
	asker
	g   *Guard
	now time.Duration
}

func (s *scenario) command(d *datadriven.TestData) (string, error) {
	var out strings.Builder
	switch d.Cmd {
	case "policy":
		return s.policy(d.Input)
	case "wait":
		dur, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			return "", err
		}
		s.now += dur
		s.g.Tick(s.now)
		s.told(&out)
		return out.String(), nil
	case "boot":
		s.boot[0]++
		s.g.Boot(s.boot)
		return "", nil
	case "do":
		for line := range strings.Lines(d.Input) {
			if err := s.do(&out, strings.Fields(line)); err != nil {
				return "", fmt.Errorf("%s: %w", line, err)
			}
		}
		return out.String(), nil
	}
	return "", fmt.Errorf("unknown command %s", d.Cmd)
}

// policy: "monitor 1 [read=kind,...] [write=kind,...] [lock] [fence] [own]",
// "agree read|write kind k=2 [voters=1,2] window=1s", "hold 10s". Masks are
// of everything if not given.
func (s *scenario) policy(input string) (string, error) {
	p := Policy{Monitors: map[uint32]Monitor{}, Writes: map[uint32]Agreement{}, Reads: map[uint32]Agreement{}, Floor: 100}
	for line := range strings.Lines(input) {
		f := strings.Fields(line)
		a := arguments(f)
		switch f[0] {
		case "monitor":
			slot := number(f[1])
			p.Monitors[uint32(slot)] = Monitor{
				Key: testKey(uint32(slot)), Read: a.kinds("read"), Write: a.kinds("write"),
				Lock: a.has("lock"), Fence: a.has("fence"), Own: a.has("own"),
			}
		case "agree":
			agreements := map[string]map[uint32]Agreement{"read": p.Reads, "write": p.Writes}[f[1]]
			agreements[kindOf(f[2])] = Agreement{K: int(a.number("k", 2)), Voters: uint32(a.mask("voters")), Window: a.duration("window", time.Second)}
		case "hold":
			p.Hold, _ = time.ParseDuration(f[1])
		default:
			return "", fmt.Errorf("unknown line %s", line)
		}
	}
	g, err := New(p)
	if err != nil {
		return err.Error(), nil
	}
	*s = scenario{g: g, asker: asker{boot: [16]byte{1}, seq: p.Floor}}
	g.Boot(s.boot)
	return "sealed", nil
}

// do is one thing that a monitor does, as its program would: "m1 kill 10 11".
func (s *scenario) do(out *strings.Builder, f []string) error {
	slot, a := uint32(number(f[0][1:])), arguments(f)
	if f[1] == "hello" {
		s.hello(out, slot, a)
		s.told(out)
		return nil
	}
	reqs := s.requests(slot, f[1:], a)
	if reqs == nil {
		return fmt.Errorf("unknown operation")
	}
	var v Verdict
	for i := range reqs {
		v = s.g.Access(s.now, &reqs[i])
		if v.Act == Refuse {
			break
		}
	}
	fmt.Fprintf(out, "%s %s: %s", f[0], f[1], v.Act)
	if v.Why != "" {
		fmt.Fprintf(out, ", %s", v.Why)
	}
	out.WriteByte('\n')
	for _, p := range v.Apply {
		fmt.Fprintf(out, "  written for m%d: %s %#x+%d\n", p.Monitor, uapi.RegionKindName(p.Kind), p.Off, len(p.Data))
	}
	s.told(out)
	return nil
}

func (s *scenario) hello(out *strings.Builder, slot uint32, a args) {
	h := uapi.Hello{Magic: uapi.HelloMagic, Major: uapi.VersionMajor, Monitor: slot, Counter: a.number("counter", 0)}
	boot := s.boot
	if a.has("blind") {
		boot = [16]byte{}
	}
	h.Sign(testKey(uint32(a.number("key", uint64(slot)))), boot)
	b := h.Encode()
	_, d := s.g.Admit(s.now, b[:len(b)-int(a.number("cut", 0))])
	if d == nil {
		fmt.Fprintf(out, "m%d hello: admitted\n", slot)
		return
	}
	fmt.Fprintf(out, "m%d hello: denied, %s, highest %d", slot, uapi.DenialReasonName(d.Reason), d.Highest)
	if d.BootID == s.boot && d.SignedWith(testKey(slot)) {
		fmt.Fprintf(out, ", signed")
	}
	out.WriteByte('\n')
}

// told prints and empties the log.
func (s *scenario) told(out *strings.Builder) {
	events, lost := s.g.Events()
	for _, e := range events {
		fmt.Fprintf(out, "  log: %s\n", e)
	}
	if lost > 0 {
		fmt.Fprintf(out, "  log: %d more\n", lost)
	}
}

// args are the key=value words of a line.
type args map[string]string

func arguments(f []string) args {
	a := args{}
	for _, w := range f {
		k, v, _ := strings.Cut(w, "=")
		a[k] = v
	}
	return a
}

func (a args) has(key string) bool { _, ok := a[key]; return ok }

func (a args) number(key string, otherwise uint64) uint64 {
	if v := a[key]; v != "" {
		return number(v)
	}
	return otherwise
}

func (a args) duration(key string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(a[key]); err == nil {
		return d
	}
	return otherwise
}

func (a args) mask(key string) (mask uint64) {
	for _, w := range strings.Split(a[key], ",") {
		if w != "" {
			mask |= 1 << number(w)
		}
	}
	return mask
}

func (a args) kinds(key string) (mask uint64) {
	v, given := a[key]
	if !given {
		return ^uint64(0)
	}
	for _, w := range strings.Split(v, ",") {
		mask |= Kinds(kindOf(w))
	}
	return mask
}

func number(s string) uint64 {
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func kindOf(name string) uint32 {
	for k := uint32(1); k < 32; k++ {
		if uapi.RegionKindName(k) == strings.ReplaceAll(name, "-", " ") {
			return k
		}
	}
	return uint32(number(name))
}
