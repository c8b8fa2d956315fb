// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"

	"lazystate/dsm/client"
	"lazystate/internal/cli"
)

// race has all nodes write one word, with nothing between them; often, for a write that is
// gone before its interval ends is not seen.
func race(n *client.Node) error {
	words := client.Slice[uint32](n, 2)
	n.Barrier()
	for round := range 20 {
		words[1] = uint32(2*round + n.ID() + 1)
		n.Barrier()
	}
	return nil
}

// Who asks for it is told of a data race: of which nodes, and where. So is nobody whose
// program has none.
func TestRaces(t *testing.T) {
	for name, want := range map[string]bool{"race": true, "count": false} {
		for _, writes := range []string{"--writes=sync", "--writes=auto"} {
			code, _, errs := try(t, slices.Concat([]string{"-n", "2", "--races", writes}, program(name))...)
			if told := strings.Contains(errs, "the program has a data race") && strings.Contains(errs, "nodes=\"[P"); code != cli.OK || told != want {
				t.Errorf("%s, %s: exit %d, told %v\n%s", name, writes, code, told, errs)
			}
		}
	}
}
