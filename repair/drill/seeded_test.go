// SPDX-License-Identifier: Apache-2.0

package drill

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSeeded(t *testing.T) {
	listed := Seeded(All, 0)
	for i := range listed {
		if listed[i].Name != All[i].Name {
			t.Fatalf("seed 0 changed the order: %s at %d", listed[i].Name, i)
		}
	}
	if diff := cmp.Diff(args(Seeded(All, 7)), args(Seeded(All, 7))); diff != "" {
		t.Errorf("a seed gives two series:\n%s", diff)
	}
	other := false
	for seed := uint64(1); seed <= 20; seed++ {
		got := args(Seeded(All, seed))
		other = other || !cmp.Equal(got, args(Seeded(All, seed+1)))
		if len(got) != len(All) {
			t.Fatalf("%d drills, want %d", len(got), len(All))
		}
		for _, d := range Seeded(All, seed) {
			was := ByName(d.Name)
			for j, p := range d.Rogues {
				n, least := size(t, p), size(t, was.Rogues[j])
				most := least + least/4
				if d.Name == "hogs-that-fit" {
					least, most = 1, 5
				} else if d.Harmless {
					most = least
				}
				if n < least || n > most {
					t.Errorf("seed %d: %s: size %d, want %d to %d", seed, d.Name, n, least, most)
				}
			}
		}
	}
	if !other {
		t.Error("all seeds give the same series")
	}
}

func args(drills []Drill) [][]string {
	var all [][]string
	for _, d := range drills {
		line := []string{d.Name}
		for _, p := range d.Rogues {
			line = append(line, p.Args...)
		}
		all = append(all, line)
	}
	return all
}

func size(t *testing.T, p Program) (n int) {
	t.Helper()
	p.resize(func(is int) int { n = is; return is })
	return n
}
