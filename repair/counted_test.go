// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"slices"
	"testing"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/repair/policy"
)

// counts publishes the kernel's own count, in a part for each of two CPUs.
func (m *sick) counts(perCPU ...uint64) {
	const offset = 0x1a000 // of the symbol in the areas
	offsets := m.target.Alloc(8 * uapi.MaxCPUs)
	for cpu, n := range perCPU {
		area := m.target.Alloc(64)
		m.target.Poke64(area, n)
		m.target.Poke64(offsets+8*uint64(cpu), area-offset)
	}
	var words []uapi.Foreign
	for name, w := range map[string]uapi.Foreign{
		backdoor.ProcessCounts: {Addr: offset, Size: 8, Flags: backdoor.ForeignPerCPU | backdoor.ForeignSum},
		backdoor.PerCPUOffsets: {Addr: offsets, Size: 8 * uapi.MaxCPUs},
	} {
		uapi.PutCString(w.Name[:], name)
		words = append(words, w)
	}
	m.target.SetForeign(words...)
}

func TestKernelsOwnCount(t *testing.T) {
	m := newSick(t)
	if _, ok, err := m.patient.Counted(t.Context()); ok || err != nil {
		t.Errorf("without the word: %v, %v", ok, err)
	}
	m.counts(70, ^uint64(0)-6) // a CPU on which more died than were born: -7
	if n, ok, err := m.patient.Counted(t.Context()); n != 63 || !ok || err != nil {
		t.Errorf("%d, %v, %v", n, ok, err)
	}
}

// A count that the walk does not explain is in the plan; one that it does is not.
func TestWalkIsWitnessed(t *testing.T) {
	m := newSick(t)
	m.bomb(60)
	seen := uint64(len(m.target.Processes()))
	for n, want := range map[uint64]bool{seen: false, seen + 12: false, seen + 100: true} {
		m.counts(n-20, 20)
		var p Plan
		if err := p.diagnose(t.Context(), m.patient, policy.Basic{Kind: policy.PolicyTooManyProcs, Limit: 30}); err != nil {
			t.Fatal(err)
		}
		said := slices.ContainsFunc(p.Notes, func(s string) bool { return len(s) > 20 && s[:18] == "the kernel counts " })
		if said != want {
			t.Errorf("%d counted, %d seen: notes %q", n, seen, p.Notes)
		}
	}
}
