// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/bench/soaktest"
	"lazystate/dsm"
	"lazystate/dsm/call"
	"lazystate/dsm/pager"
	"lazystate/tools/lab"
)

// same compares what programs that count say.
func same(t *testing.T, out []string, total int) {
	t.Helper()
	want := fmt.Sprintf("[%d %d] ", total, total)
	for i, o := range out {
		if o != out[0] || !strings.HasPrefix(o, want) {
			t.Errorf("program %d says %q, program 0 %q, and the count is %s", i, o, out[0], want)
		}
	}
}

func TestCount(t *testing.T) {
	modes(t, func(t *testing.T, mode pager.Mode) {
		for _, nodes := range []int{1, 2, 3} {
			c := newCluster(t, testConfig(mode, nodes), "count", "30")
			same(t, c.outputs(), 30*nodes)
		}
	})
}

// A node that crashes comes back from its last checkpoint, and all end as if it
// had not.
func TestCrash(t *testing.T) {
	modes(t, func(t *testing.T, mode pager.Mode) {
		plain := newCluster(t, testConfig(mode, 3), "count", "60").outputs()
		cfg := testConfig(mode, 3)
		cfg.Policy.Every = time.Millisecond
		c := newCluster(t, cfg, "count", "60")
		for i := range 3 {
			c.waitFor(dsm.NodeID(i), uint64(60*(i+1)))
			disk := c.crash(dsm.NodeID(i))
			c.start(dsm.NodeID(i), disk)
		}
		out := c.outputs()
		same(t, out, 180)
		if out[0] != plain[0] {
			t.Errorf("with crashes %q, without %q", out[0], plain[0])
		}
	})
}

// record is where make soak leaves what came of it.
const record = "../../bench/results/soak-dsm.json"

// And so it is at each operation of each node, with checkpoints and without.
func TestCrashAtEveryOperation(t *testing.T) {
	const nodes, rounds = 2, 4
	step := lab.Count(5, 1)
	book := soaktest.New(t, record, 0, 0) // nothing is drawn
	modes(t, func(t *testing.T, mode pager.Mode) {
		want := newCluster(t, testConfig(mode, nodes), "count", fmt.Sprint(rounds)).outputs()
		for node := range dsm.NodeID(nodes) {
			for op := uint64(1 + int(node)); op <= 6*rounds+1; op += uint64(step) {
				cfg := testConfig(mode, nodes)
				if op%2 == 0 {
					cfg.Policy = Policy{Every: time.Nanosecond, Aligned: op%4 == 0}
				}
				c := killedCluster(t, cfg, map[dsm.NodeID]uint64{node: op}, "count", fmt.Sprint(rounds))
				select {
				case <-c.nodes[node].died:
				case <-time.After(time.Minute):
					t.Fatalf("node %d does not come to operation %d", node, op)
				}
				c.start(node, c.crash(node))
				book.Runs++
				book.Add(mode.String(), 1)
				if out := c.outputs(); fmt.Sprint(out) != fmt.Sprint(want) {
					t.Errorf("killed at operation %d of node %d: %q, not %q", op, node, out, want)
				}
				c.stop()
			}
		}
	})
}

// waitFor waits until a node has done so many operations, and all are live.
func (c *cluster) waitFor(i dsm.NodeID, ordinal uint64) {
	c.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) {
		live := true
		var at uint64
		for j, n := range c.nodes {
			n.mu.Lock()
			if live = live && n.node.Live(); j == int(i) {
				at = n.node.Ordinal()
			}
			err := n.err
			n.mu.Unlock()
			if err != nil {
				c.t.Fatalf("node %d: %v", j, err)
			}
		}
		if live && at >= ordinal {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("node %d is at operation %d, not %d", i, at, ordinal)
		}
	}
}

func TestConditions(t *testing.T) {
	modes(t, func(t *testing.T, mode pager.Mode) {
		for _, o := range newCluster(t, testConfig(mode, 3), "sleepers").outputs() {
			if o != "30\n" {
				t.Errorf("%q", o)
			}
		}
	})
}

// A lock that is here and that nobody waits for costs no call, and is an operation
// all the same.
func TestAlone(t *testing.T) {
	c := newCluster(t, testConfig(pager.Sync, 2), "alone")
	for i, o := range c.outputs() {
		if o != "1000 1000\n" {
			t.Errorf("%q", o)
		}
		n := c.nodes[i]
		if ops := n.node.Ordinal(); ops < 2000 || n.prog.calls > uint64(ops)/2 {
			t.Errorf("%d calls for %d operations", n.prog.calls, ops)
		}
	}
}

func TestPlaceAndPrefetch(t *testing.T) {
	modes(t, func(t *testing.T, mode pager.Mode) {
		c := newCluster(t, testConfig(mode, 2), "places")
		for _, o := range c.outputs() {
			if o != "136\n" {
				t.Errorf("%q", o)
			}
		}
		if m := c.nodes[0].node.Counters().Misses; m > 40 {
			t.Errorf("%d misses of 16 pages", m)
		}
	})
}

// A program that is bound runs where it was told to, and is served there.
func TestBound(t *testing.T) {
	cfg := testConfig(pager.Sync, 2)
	last := 0
	for n := range runtime.NumCPU() {
		var err error
		if last, err = Processor(n); err != nil {
			t.Fatal(err)
		}
	}
	if first, err := Processor(runtime.NumCPU()); err != nil || first > last {
		t.Errorf("processor %d behind %d: %v", first, last, err)
	}
	cfg.Bind, cfg.Processor = true, last
	for i, out := range newCluster(t, cfg, "bound").outputs() {
		if want := fmt.Sprintln(1, last); out != want {
			t.Errorf("program %d: %q, not %q", i, out, want)
		}
	}
	cfg.Processor = 1000 // there is none: it is said, and no more
	for i, out := range newCluster(t, cfg, "bound").outputs() {
		if out == "" {
			t.Errorf("program %d says nothing", i)
		}
	}
}

// A call that makes no sense is answered so, and the node goes on.
func TestMisuse(t *testing.T) {
	if out := newCluster(t, testConfig(pager.Sync, 1), "misuse").outputs(); out[0] != "told\n" {
		t.Errorf("%q", out)
	}
}

// A program that cannot go on is told why, and its node says it too.
func TestRefused(t *testing.T) {
	for program, want := range map[string]string{
		"threads": "one may", "twice": "which the program holds", "wild": "the program's ring",
	} {
		c := newCluster(t, testConfig(pager.Sync, 1), program)
		err := <-c.nodes[0].served
		var refused *RefusedError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", program, err)
		}
		if program == "threads" {
			continue // it waits for a page, and cannot hear
		}
		_ = c.nodes[0].program.Wait()
		if out := c.nodes[0].out.String(); !strings.Contains(out, want) {
			t.Errorf("%s is told %q", program, out)
		}
	}
}

// A node that is stopped, as one that has a successor is, tells its program why, though
// that waits for another node.
func TestStopTells(t *testing.T) {
	cfg := testConfig(pager.Sync, 2)
	cfg.Core.Home = func(dsm.Page) (dsm.NodeID, bool) { return 0, true } // so it waits for no page
	c := killedCluster(t, cfg, map[dsm.NodeID]uint64{1: 5}, "count", "10")
	<-c.nodes[1].died
	n := c.nodes[0]
	waits := func() bool {
		what := n.Status().Waiting
		return strings.Contains(what, "lock") || strings.Contains(what, "barrier")
	}
	for deadline := time.Now().Add(time.Minute); !waits(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not wait")
		}
	}
	n.Stop(errors.New("it is superseded"))
	_ = n.program.Wait()
	if out := n.out.String(); !strings.Contains(out, "refused: it is superseded") {
		t.Errorf("the program is told %q", out)
	}
}

// A program that ends without having said so is the end of its node.
func TestProgramEnds(t *testing.T) {
	for _, program := range []string{"leaves", "late"} {
		c := newCluster(t, testConfig(pager.Sync, 1), program)
		if err := <-c.nodes[0].served; err == nil || !strings.Contains(err.Error(), "in its midst") {
			t.Errorf("%s: %v", program, err)
		}
	}
}

// A checkpoint that cannot be written is told of, and the program goes on.
func TestFullDisk(t *testing.T) {
	for _, fails := range []error{nil, unix.ENOSPC} {
		c := &cluster{t: t, cfg: testConfig(pager.Sync, 1), args: []string{"save"}, nodes: make([]*node, 1), ports: make([]*port, 1)}
		c.ports[0] = newPort(c)
		disk := &memStore{states: map[uint32]*stored{}, fails: fails}
		c.start(0, disk)
		out := c.outputs()
		want := "safe\n"
		if fails != nil {
			want = "lost: " + fails.Error() + "\n"
		}
		if out[0] != want {
			t.Errorf("%v: %q", fails, out)
		}
		c.stop()
	}
}

// Two nodes that are lost at once are too many, and both are told.
func TestTwoAtOnce(t *testing.T) {
	cfg := testConfig(pager.Sync, 3)
	cfg.Policy.Every = time.Millisecond
	c := killedCluster(t, cfg, map[dsm.NodeID]uint64{0: 55, 1: 55}, "count", "60")
	<-c.nodes[0].died
	<-c.nodes[1].died
	one, two := c.crash(0), c.crash(1)
	c.start(0, one)
	c.start(1, two)
	told := 0
	for range 2 {
		var err error
		select {
		case err = <-c.nodes[0].served:
		case err = <-c.nodes[1].served:
		case <-time.After(time.Minute):
			t.Fatalf("%d were told", told)
		}
		var refused *RefusedError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), "two nodes have failed at once") {
			t.Errorf("%v", err)
		}
		told++
	}
}

// A recovery waits for who is not there, but not for ever.
func TestPatience(t *testing.T) {
	cfg := testConfig(pager.Sync, 2)
	cfg.Patience = 200 * time.Millisecond
	c := killedCluster(t, cfg, map[dsm.NodeID]uint64{0: 20}, "count", "10")
	<-c.nodes[0].died
	c.crash(1)
	c.start(0, c.crash(0))
	c.nodes[0].Lost(1, 1, errors.New("silent"))
	select {
	case err := <-c.nodes[0].served:
		if err == nil || !strings.Contains(err.Error(), "P1 is down") {
			t.Errorf("%v", err)
		}
	case <-time.After(time.Minute):
		t.Error("it waits for ever")
	}
}

// A node has one program.
func TestSecondProgram(t *testing.T) {
	c := newCluster(t, testConfig(pager.Sync, 2), "count", "2000")
	c.waitFor(0, 5)
	if p, err := call.Join(c.nodes[0].path); !errors.Is(err, unix.EBUSY) {
		t.Errorf("%v, %v", p, err)
	}
}

func TestConfig(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no node":      func(c *Config) { c.Core.Nodes = 0 },
		"another node": func(c *Config) { c.Core.Self = 2 },
		"no region":    func(c *Config) { c.Core.Pages = 0 },
		"page size":    func(c *Config) { c.Core.PageSize = 100 },
		"locks":        func(c *Config) { c.Core.Locks = -1 },
		"conditions":   func(c *Config) { c.Core.Conds = 1 << 30 },
	} {
		cfg := testConfig(pager.Sync, 2)
		cfg.Log = slog.New(slog.DiscardHandler)
		change(&cfg)
		if d, err := New(cfg, &memStore{}); err == nil {
			t.Errorf("%s: %v", name, d)
		}
	}
}

// With the aligned policy nodes take checkpoints at barriers, at most one each.
func TestAligned(t *testing.T) {
	cfg := testConfig(pager.Sync, 3)
	cfg.Core.Home = func(dsm.Page) (dsm.NodeID, bool) { return 0, true }
	cfg.Policy = Policy{Logs: 1e-9, Aligned: true} // by each write
	c := newCluster(t, cfg, "count", "20")
	same(t, c.outputs(), 60)
	for i, n := range c.nodes {
		if saved := n.node.Counters().Saved; saved < 2 || saved > 20 {
			t.Errorf("node %d has %d checkpoints of 20 rounds", i, saved)
		}
	}
}

// Who ends the context ends the node.
func TestContext(t *testing.T) {
	cfg := testConfig(pager.Sync, 1)
	cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	d, err := New(cfg, &memStore{})
	if err != nil {
		t.Fatal(err)
	}
	d.Start(nil)
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := d.Serve(ctx, l); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// A node whose program does not come says so, and with whom it has no connection.
func TestNobodyJoins(t *testing.T) {
	var said bytes.Buffer
	cfg := testConfig(pager.Sync, 1)
	cfg.Log = slog.New(slog.NewTextHandler(&said, nil))
	d, err := New(cfg, &memStore{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.begin(nil, nil)
	net := newPort(&cluster{})
	d.net = net
	now := time.Now()
	w := waits{since: now, said: now}
	for i := range 4 {
		d.look(now.Add(time.Duration(i)*sayAfter), &w)
	}
	if got := said.String(); strings.Count(got, "its program, to join") != 3 || strings.Contains(got, "connection") || d.Status().Waiting == "" {
		t.Errorf("%q, %q", got, d.Status().Waiting)
	}
	net.missing = "P1 (its cable is cut)"
	d.look(now.Add(5*sayAfter), &w)
	if got := said.String(); !strings.Contains(got, `"no connection with"="P1 (its cable is cut)"`) {
		t.Errorf("%q", got)
	}
}

func TestPolicy(t *testing.T) {
	long := time.Now().Add(-time.Hour)
	for _, c := range []struct {
		policy  Policy
		share   float64
		barrier bool
		want    bool
	}{
		{Policy{}, 1, true, false},
		{Policy{Logs: 0.1}, 0.09, true, false},
		{Policy{Logs: 0.1}, 0.1, false, true},
		{Policy{Logs: 0.1, Aligned: true}, 0.1, false, false},
		{Policy{Logs: 0.1, Aligned: true}, 0.1, true, false}, // nobody has said so at this barrier
		{Policy{Every: time.Minute}, 0, false, true},
		{Policy{Every: 2 * time.Hour}, 0, false, false},
	} {
		d := due{policy: c.policy, last: long}
		if got := d.wanted(c.barrier, c.share); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
		if d.writing = true; d.wanted(c.barrier, c.share) {
			t.Errorf("%+v: wanted while another is being written", c)
		}
		if d.writing, d.all = false, true; c.policy.Aligned && (!d.wanted(true, 0) || d.all) {
			t.Errorf("%+v: not wanted where a node wants all", c)
		}
	}
}
