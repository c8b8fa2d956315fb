// SPDX-License-Identifier: Apache-2.0

package backdoor_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
)

// TestScenarios tells stories of one synthetic target and its readers: access,
// walks, lock. The time in them is the bubble's.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenario", func(t *testing.T, path string) {
		synctest.Test(t, func(t *testing.T) {
			s := &scenario{t: t, held: map[uint32]*backdoor.Held{}}
			defer s.end()
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
				do, ok := scenarioCommands[d.Cmd]
				if !ok {
					d.Fatalf(t, "no command %q", d.Cmd)
				}
				return do(s, d)
			})
		})
	})
}

type scenario struct {
	t      *testing.T
	target *bdtest.Target
	bt     *backdoor.Target
	held   map[uint32]*backdoor.Held
}

var scenarioCommands = map[string]func(*scenario, *datadriven.TestData) string{
	"target": (*scenario).boot, "open": (*scenario).open, "regions": (*scenario).regions, "op": (*scenario).op,
	"happens": (*scenario).happens, "check": (*scenario).check, "damage": (*scenario).damage,
	"list-link": (*scenario).listLink, "idr-slot": (*scenario).idrSlot, "member": (*scenario).member, "walk": (*scenario).walk,
	"catch": (*scenario).catch, "lock": (*scenario).lock, "confirm": (*scenario).confirm, "unlock": (*scenario).unlock,
	"fence": (*scenario).fence, "sleep": (*scenario).sleep, "lock-state": (*scenario).lockState, "stopping": (*scenario).stopping,
}

func (s *scenario) end() {
	for _, h := range s.held {
		_ = h.Unlock(s.t.Context())
	}
}

func word(d *datadriven.TestData, key string) string {
	for _, a := range d.CmdArgs {
		if a.Key == key && len(a.Vals) == 1 {
			return a.Vals[0]
		}
	}
	return ""
}

// number is 0 for an argument that is not given.
func (s *scenario) number(d *datadriven.TestData, key string) uint64 {
	text := word(d, key)
	if text == "" {
		return 0
	}
	v, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		d.Fatalf(s.t, "%s: %v", key, err)
	}
	return v
}

func (s *scenario) boot(d *datadriven.TestData) string {
	opts := []bdtest.Option{bdtest.WithKey(2, key), bdtest.WithKey(3, key)}
	for name, o := range map[string]bdtest.Option{
		"no-repair": bdtest.WithoutRepair(), "no-memory": bdtest.WithoutMemory(), "fence": bdtest.WithFence(),
	} {
		if d.HasArg(name) {
			opts = append(opts, o)
		}
	}
	s.target = bdtest.New(opts...)
	populate(s.target, int(s.number(d, "processes")))
	return s.open(d)
}

func (s *scenario) open(*datadriven.TestData) string {
	bt, err := backdoor.Open(s.t.Context(), s.target.Memory())
	if err != nil {
		return say(err)
	}
	s.bt = bt
	return "opened"
}

func say(err error) string {
	if err == nil {
		return "ok"
	}
	return "error: " + err.Error()
}

func (s *scenario) regions(*datadriven.TestData) string {
	var b strings.Builder
	for _, r := range s.bt.Regions() {
		fmt.Fprintf(&b, "%s %s\n", uapi.RegionKindName(r.Kind), r.Perm)
	}
	return b.String()
}

// region finds a region by the name of its kind.
func (s *scenario) region(d *datadriven.TestData) (int, backdoor.Region) {
	for i, r := range s.bt.Regions() {
		if uapi.RegionKindName(r.Kind) == strings.ReplaceAll(word(d, "region"), "-", " ") {
			return i, r
		}
	}
	d.Fatalf(s.t, "no region %q", word(d, "region"))
	return 0, backdoor.Region{}
}

// op is one operation relative to a region: its offset, its length, and how
// far its key is beside the region's.
func (s *scenario) op(d *datadriven.TestData) string {
	_, r := s.region(d)
	kinds := map[string]backdoor.OpKind{
		"read": backdoor.OpRead, "write": backdoor.OpWrite, "compare-and-swap": backdoor.OpCmpSwap, "fetch-and-add": backdoor.OpFetchAdd,
	}
	off := s.number(d, "off")
	if d.HasArg("from-end") {
		off = r.Len - s.number(d, "from-end")
	}
	op := backdoor.Op{
		Kind: kinds[word(d, "kind")], Addr: r.Addr + off, Key: r.Key + uint32(s.number(d, "other-key")), Buf: make([]byte, s.number(d, "len")),
	}
	page := s.target.Area(uapi.KindManifest)
	before := s.target.Peek(page, 4096)
	err := s.bt.Do(s.t.Context(), op)
	var no *backdoor.AccessError
	if !errors.As(err, &no) {
		return say(err)
	}
	if after := s.target.Peek(page, 4096); string(after) != string(before) {
		s.t.Errorf("%s: a refused operation changed the target", d.Pos)
	}
	return fmt.Sprintf("refused %s of %d bytes in %q: %s", no.Op, no.Len, no.Region, no.Why)
}

func (s *scenario) happens(d *datadriven.TestData) string {
	for name, do := range map[string]func(){
		"reboot": s.target.Reboot, "republish": s.target.Republish, "withdraw": s.target.Withdraw, "power-off": s.target.PowerOff,
		"hang": func() { s.target.Hang(true) }, "go-on": func() { s.target.Hang(false); s.target.Step() },
		"writes-lost": func() {
			s.target.Memory().Before(func(_ int, op *backdoor.Op) error {
				if op.Kind == backdoor.OpWrite {
					return errors.New("wire is cut")
				}
				return nil
			})
		},
	} {
		if d.HasArg(name) {
			do()
			return "it did"
		}
	}
	d.Fatalf(s.t, "nothing happens")
	return ""
}

func (s *scenario) check(*datadriven.TestData) string {
	err := s.bt.Check(s.t.Context())
	for _, is := range []error{backdoor.ErrReplaced, backdoor.ErrWithdrawn, backdoor.ErrGone} {
		if errors.Is(err, is) {
			return is.Error()
		}
	}
	return say(err)
}

// damage changes one field of a region's entry in the target's table.
func (s *scenario) damage(d *datadriven.TestData) string {
	i, _ := s.region(d)
	fields := map[string]struct {
		off uint64
		n   int
	}{
		"boot-id": {uapi.RegionBootIDOff, 16}, "generation": {uapi.RegionGenerationOff, 8}, "perm": {uapi.RegionPermOff, 4},
		"len": {uapi.RegionLenOff, 8}, "addr": {uapi.RegionAddrOff, 8}, "name": {uapi.RegionNameOff, 8},
	}
	f, ok := fields[word(d, "field")]
	if !ok {
		d.Fatalf(s.t, "no field %q", word(d, "field"))
	}
	v := s.number(d, "value")
	b := make([]byte, f.n)
	for j := range min(f.n, 8) {
		b[j] = byte(v >> (8 * j))
	}
	s.target.Poke(s.target.Area(uapi.KindTable)+uapi.TableRegionsOff+uint64(i)*uapi.RegionSize+f.off, b)
	return "written"
}

func (s *scenario) sleep(d *datadriven.TestData) string {
	v, err := time.ParseDuration(word(d, "for"))
	if err != nil {
		d.Fatalf(s.t, "%v", err)
	}
	time.Sleep(v)
	s.target.Step()
	return "slept"
}
