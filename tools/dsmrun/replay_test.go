// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"lazystate/bench/soaktest"
	"lazystate/internal/cli"
	"lazystate/tools/lab"
)

// countOps are the operations of a round of count: acquire, release, two barriers.
const countOps = 4

// inReplay are three deaths of a node in one round, the second and third at operations
// that life before had behind it: others know that it had come to the first barrier.
func inReplay(node, round, op int) []string {
	first := countOps * round
	return []string{fmt.Sprintf("%d@%d", node, first+4), fmt.Sprintf("%d@%d/2", node, first+1+op%3), fmt.Sprintf("%d@%d/3", node, first+1+(op+1)%3)}
}

// A node that is killed with its program while it replays begins its recovery anew, as
// often as that happens: from a checkpoint just before, and in the midst of all that it
// did since the beginning. What comes out is as without.
func TestKilledInReplay(t *testing.T) {
	book := soaktest.New(t, record, 0, 0) // nothing is drawn
	_, want, _ := try(t, slices.Concat([]string{"-n", "3"}, program("count"))...)
	die := func(name string, kills []string, how ...string) {
		args := slices.Concat([]string{"-n", "3"}, how)
		for _, kill := range kills {
			args = append(args, "--kill", kill)
		}
		code, out, errs := try(t, append(args, program(name)...)...)
		if code != cli.OK || out != want {
			t.Errorf("%s, %q: exit %d, %q, not %q\n%s", name, kills, code, out, want, errs)
		}
		book.Runs++
		book.Add("killed while they replayed", len(kills)-1)
		if first, later := strings.Count(errs, "live=true"), strings.Count(errs, "live=false"); first != 1 || later != len(kills)-1 {
			t.Errorf("%s, %q: %d were killed when they lived, %d when they replayed\n%s", name, kills, first, later, errs)
		}
	}
	die("unsaved", []string{"1@84", "1@40/2", "1@70/3"})
	die("unsaved", []string{"0@62", "0@1/2"}, "--tcp", "--writes=sync")
	for i := range lab.Count(3, 3*3*(rounds-1)) {
		node, op, round := i%3, i/3, 1+(i/9+5*i)%(rounds-1)
		die("count", inReplay(node, round, op), []string{"--tcp", "--writes=sync", "--per-page", "--homes=cyclic"}[i%4])
	}
}

// A life that begins at a checkpoint behind the operation at which it was to be killed
// lives on, and says so.
func TestKillBehindACheckpoint(t *testing.T) {
	code, _, errs := try(t, slices.Concat([]string{"-n", "3", "--kill", "1@84", "--kill", "1@1/2"}, program("count"))...)
	if code != cli.OK || strings.Count(errs, "is killed, as was asked for") != 1 || !strings.Contains(errs, "is not killed as was asked for") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}
