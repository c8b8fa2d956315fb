// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lazystate/dsm/client"
	"lazystate/internal/cli"
	"lazystate/tools/dsmd/status"
	"lazystate/tools/lab"
)

// pointRounds of points have at least so many operations each: more where a node
// sleeps.
const pointRounds, pointOps = 4, 7

// points has two nodes write and read whatever the protocol has: pages that both
// write, a page that moves under a lock, a condition. Each says what it has read, all together: nothing of that depends on who was first.
func points(n *client.Node) error {
	shared := client.Slice[uint32](n, 2*n.PageSize()/4)
	total := client.Slice[uint64](n, 1)
	turn := client.Slice[int](n, 1)
	lock, cond := n.Locks(2), n.Conds(1)
	var seen uint64
	n.Private("seen", &seen)
	n.Run(func(k int) bool {
		for i := n.ID(); i < len(shared); i += n.Nodes() {
			shared[i] += uint32(i*k + 1)
		}
		n.Lock(lock)
		total[0] += uint64(k + n.ID())
		n.Unlock(lock)
		n.Lock(lock + 1)
		for turn[0] != k*n.Nodes()+n.ID() {
			n.Wait(cond, lock+1)
		}
		turn[0]++
		n.Broadcast(cond)
		n.Unlock(lock + 1)
		n.Barrier()
		for _, v := range shared {
			seen = seen*31 + uint64(v)
		}
		seen = seen*31 + total[0]
		if k%2 == 0 {
			n.Checkpoint()
		}
		n.Barrier()
		return k+1 < pointRounds
	})
	fmt.Printf("node %d has read %x\n", n.ID(), seen)
	return nil
}

// A node is killed with its program at one operation after the other, or in short
// at some drawn ones: what each node has read is what it is without (§4.4).
func TestEveryPoint(t *testing.T) {
	lines := func(args ...string) ([]string, []status.Report) {
		dir := filepath.Join(t.TempDir(), "run")
		code, out, errs := try(t, slices.Concat([]string{"-n", "2", "--dir", dir}, args, program("points"))...)
		reports, err := status.Read(dir)
		if code != cli.OK || err != nil {
			t.Fatalf("%v: exit %d, %v\n%s%s", args, code, err, out, errs)
		}
		all := strings.Split(out, "\n") // one who is killed at its end says it twice
		slices.Sort(all)
		return slices.Compact(all), reports
	}
	want, reports := lines()
	if len(want) != 3 || len(reports) != 2 {
		t.Fatalf("%q, %v", want, reports)
	}
	var kills []string
	for node := range 2 {
		for op := range pointRounds * pointOps {
			kills = append(kills, fmt.Sprintf("%d@%d", node, op+1))
		}
	}
	rng := rand.New(rand.NewPCG(4, 4))
	rng.Shuffle(len(kills), func(i, j int) { kills[i], kills[j] = kills[j], kills[i] })
	for i, kill := range kills[:lab.Count(4, len(kills))] {
		how := []string{"--writes=sync", "--per-page", "--tcp", "--homes=cyclic"}[i%4]
		got, reports := lines(how, "--kill", kill)
		if !slices.Equal(got, want) {
			t.Errorf("%s, %s: %q, not %q", kill, how, got, want)
		}
		if !slices.ContainsFunc(reports, func(r status.Report) bool { return r.Incarnation == 2 }) {
			t.Errorf("%s, %s: nobody was killed", kill, how)
		}
	}
}
