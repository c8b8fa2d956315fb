// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lazystate/bench/soaktest"
	"lazystate/dsm/client"
	"lazystate/internal/cli"
	"lazystate/internal/memtemp"
	"lazystate/tools/dsmd/status"
	"lazystate/tools/dsmrun/job"
	"lazystate/tools/lab"
)

// points runs so many rounds, in a region of so many pages: rounds enough that logs and
// checkpoints are discarded in its midst.
const pointRounds, pointPages = 6, 16

// awaitSaved waits for a checkpoint of a node, of the run in the folder that is the
// program's argument: steps are shorter than it takes to write one, most of all on a disk
// that others use. Not for ever, for one who replays takes none.
func awaitSaved(node, number int) {
	for end := time.Now().Add(2 * time.Second); newest(os.Args[2], fmt.Sprintf("node-%d/ckpt-*", node)) < number && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// points has two nodes write and read whatever the protocol has: pages that both
// write, a page that moves under a lock, a condition. Each says what it has read, all together, and
// what the region is in the end, to its last page: nothing of that depends on who was
// first. The first page of the region is the heap's.
func points(n *client.Node) error {
	shared := client.Slice[uint32](n, 2*n.PageSize()/4)
	total := client.Slice[uint64](n, 1)
	turn := client.Slice[int64](n, 1)
	rest := client.Slice[byte](n, (pointPages-4)*n.PageSize())
	lock, cond := n.Locks(2), n.Conds(1)
	var seen uint64
	n.Private("seen", &seen)
	n.Run(func(k int) bool {
		awaitSaved(n.ID(), k)
		for i := n.ID(); i < len(shared); i += n.Nodes() {
			shared[i] += uint32(i*k + 1)
		}
		n.Lock(lock)
		total[0] += uint64(k + n.ID())
		n.Unlock(lock)
		n.Lock(lock + 1)
		for int(turn[0]) != k*n.Nodes()+n.ID() {
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
		n.Checkpoint()
		n.Barrier()
		return k+1 < pointRounds
	})
	image := sha256.New()
	for _, part := range []any{shared, total, turn, rest} {
		_ = binary.Write(image, binary.LittleEndian, part) // neither has an error
	}
	fmt.Printf("node %d has read %x\nnode %d leaves %x\n", n.ID(), seen, n.ID(), image.Sum(nil))
	return nil
}

// pointed is what came of a run of points.
type pointed struct {
	lines     []string // of all nodes, in any order
	ends      []uint64 // by node: the program's last operation
	lives     []uint32 // by node
	discarded int      // bytes of logs that the killed one had discarded by then
	log       string
}

// runPoints runs it on two nodes, in a folder of its own.
func runPoints(t *testing.T, args ...string) pointed {
	t.Helper()
	return runPointsIn(t, filepath.Join(t.TempDir(), "run"), args...)
}

func runPointsIn(t *testing.T, dir string, args ...string) (p pointed) {
	t.Helper()
	code, out, errs := try(t, slices.Concat([]string{"-n", "2", "--region", fmt.Sprint(pointPages << 12), "--dir", dir}, args, program("points"), []string{dir})...)
	reports, err := status.Read(dir)
	if code != cli.OK || err != nil || len(reports) != 2 {
		t.Fatalf("%v: exit %d, %v\n%s%s", args, code, err, out, errs)
	}
	p.ends = job.Ends(reports)
	for _, r := range reports {
		p.lives = append(p.lives, r.Incarnation)
	}
	for line := range strings.Lines(errs) {
		if n, ok := job.Killed(line); ok {
			p.discarded = n
		}
	}
	p.log, p.lines = errs, strings.Split(out, "\n")
	slices.Sort(p.lines) // one who is killed at its end says it twice
	p.lines = slices.Compact(p.lines)
	return p
}

// point is an operation at which a node is killed.
type point struct {
	node int
	op   uint64
}

// drawPoints are all there are, in any order, or in short one of each quarter.
func drawPoints(rng *rand.Rand, ends []uint64) (all []point) {
	if !lab.Soak() {
		for i := range uint64(4) {
			node := rng.IntN(2)
			all = append(all, point{node, 1 + i*ends[node]/4 + rng.Uint64N(ends[node]/4)})
		}
		return all
	}
	for node, end := range ends {
		for op := range end {
			all = append(all, point{node, op + 1})
		}
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// A node is killed with its program at one operation after the other, to its last: what
// each node has read, and the region in the end, are what they are without (§4.4). Logs
// and checkpoints are discarded as soon as they can be (§4.5), and were when the
// program is well on its way. How often a node sleeps
// differs from run to run, and so does which operation is its last.
func TestEveryPoint(t *testing.T) {
	dsmd(t)
	memtemp.Use(t)
	book := soaktest.New(t, record, lab.Seed(), 0)
	plain := runPoints(t)
	if len(plain.lines) != 5 || slices.Max(plain.lives) != 1 {
		t.Fatalf("%+v", plain)
	}
	all := drawPoints(rand.New(rand.NewPCG(lab.Seed(), 4)), plain.ends)
	book.Told = len(all)
	for i, at := range all {
		how := []string{"--writes=sync", "--per-page", "--tcp", "--homes=cyclic"}[i%4]
		got := runPoints(t, how, "--collect=1ms", "--kill", fmt.Sprintf("%d@%d", at.node, at.op))
		book.Runs++
		if !slices.Equal(got.lines, plain.lines) {
			t.Errorf("%v, %s: %q, not %q", at, how, got.lines, plain.lines)
		}
		killed := got.lives[at.node] == 2
		if killed != (at.op <= got.ends[at.node]) {
			t.Errorf("%v, %s: killed: %v, and its last operation is %d", at, how, killed, got.ends[at.node])
		}
		t.Logf("%v of %d, %s: killed %v, %d bytes of logs discarded before", at, got.ends[at.node], how, killed, got.discarded)
		switch {
		case !killed:
			book.Add("had ended before", 1)
		case got.discarded > 0:
			book.Add("killed, logs discarded before", 1)
		case at.op > 2*got.ends[at.node]/3:
			t.Errorf("%v of %d, %s: killed, and had discarded no logs", at, got.ends[at.node], how)
		default:
			book.Add("killed, no logs discarded yet", 1)
		}
	}
}
