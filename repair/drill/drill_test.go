// SPDX-License-Identifier: Apache-2.0

package drill

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"lazystate/repair/policy"
)

func TestBuild(t *testing.T) {
	dir := t.TempDir()
	path, err := Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Build(t.Context(), dir)
	if err != nil || again != path {
		t.Fatalf("second build: %s, %v; first %s", again, err, path)
	}
	// Outside a guest of the lab nothing runs.
	out, err := exec.Command(path, "bomb-cpu", "2").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "not in a guest") {
		t.Fatalf("a bomb on this machine: %v, %s", err, out)
	}
	for name, want := range map[string]int{"burst 3 10": 0, "build 2 3": 0, "timed-fork 2": 0, "timed-exec 2": 0, "timed-pipe 2": 0, "nonsense 1": 2} {
		cmd := exec.Command(path, append([]string{"--anywhere"}, strings.Fields(name)...)...)
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != want {
			t.Errorf("%s: exit %d, want %d", name, code, want)
		}
	}
}

func TestUsefulReports(t *testing.T) {
	path, err := Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var u Useful
	cmd := exec.CommandContext(ctx, path, "--anywhere", "useful", "1000000", "1")
	cmd.Stdout = &u
	from := time.Now()
	_ = cmd.Run() // ended by the context
	all := u.Between(from, time.Now())
	if len(all) < 3 || all[0].Number != 1 || all.Median() <= 0 || all.Median() > time.Second {
		t.Fatalf("%d iterations, median %v", len(all), all.Median())
	}
	if sum := all[len(all)-1].At.Sub(all[0].At); all.Median() > sum {
		t.Errorf("median %v of iterations that took %v together", all.Median(), sum)
	}
	if last, ok := u.Last(); !ok || last.Number < uint64(len(all)) {
		t.Errorf("last iteration %+v of %d", last, len(all))
	}
}

func TestUsefulTakesAnyText(t *testing.T) {
	var u Useful
	for _, part := range []string{"1 10", "00\n2 x\n\n3", " -5\n4 2000", "\n", strings.Repeat("z", 1000), "\n5 7\n"} {
		if n, err := u.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("write: %d, %v", n, err)
		}
	}
	all := u.Between(time.Time{}, time.Now().Add(time.Hour))
	var got []string
	for _, it := range all {
		got = append(got, fmt.Sprint(it.Number, it.Said.Nanoseconds()))
	}
	if want := []string{"1 1000", "4 2000", "5 7"}; strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("iterations %v, want %v; %d lines refused", got, want, u.bad)
	}
}

func iterations(ms ...int) Iterations {
	var s Iterations
	for _, n := range ms {
		s = append(s, Iteration{Took: time.Duration(n) * time.Millisecond})
	}
	return s
}

func TestAsBefore(t *testing.T) {
	before := iterations(100, 100, 101, 99)
	for _, c := range []struct {
		after Iterations
		want  bool
	}{
		{iterations(100, 105, 109, 110), true},
		{iterations(100, 101, 102, 190, 200), true},  // a noisy host
		{iterations(100, 101, 180, 190, 200), false}, // the best are as before, the middle is not
		{iterations(120, 121, 122, 130), false},
		{nil, false},
	} {
		if got := c.after.AsBefore(before, Well); got != c.want {
			t.Errorf("%v after %v: %v", c.after, before, got)
		}
	}
}

func TestWithout(t *testing.T) {
	s := iterations(100, 200, 400)
	if got := s.Without(0.25); got.Median() != 150*time.Millisecond || s.Median() != 200*time.Millisecond {
		t.Errorf("median %v without a quarter of %v", got.Median(), s.Median())
	}
}

func TestDrillsAreSound(t *testing.T) {
	seen := map[policy.Kind]bool{}
	names := map[string]bool{}
	for _, d := range All {
		if err := d.Policy().Check(); err != nil {
			t.Errorf("%s: %v", d.Name, err)
		}
		if names[d.Name] || d.About == "" || d.Idle == (len(d.Rogues) > 0) || d.Idle && !d.Harmless || d.Resource == 0 {
			t.Errorf("%s: twice or incomplete", d.Name)
		}
		names[d.Name] = true
		for _, p := range d.Decent {
			for _, q := range d.Rogues {
				if p.UID == q.UID {
					t.Errorf("%s: a decent program has a rogue's uid %d", d.Name, p.UID)
				}
			}
		}
		if len(d.Limits) == 1 && !d.Harmless {
			seen[d.Limits[0].Kind] = true
		}
	}
	for k := policy.PolicyTooManyProcs; k <= policy.PolicyMaxRSSUIDSaveUID; k++ {
		if !seen[k] {
			t.Errorf("no drill for %v", k)
		}
	}
}
