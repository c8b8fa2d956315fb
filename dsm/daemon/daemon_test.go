// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/dsm"
	"lazystate/dsm/call"
	"lazystate/dsm/pager"
)

// TestProgram is the program of the other tests.
func TestProgram(t *testing.T) {
	path := os.Getenv("DSM_TEST_SOCKET")
	if path == "" {
		t.Skip("is started by the other tests")
	}
	runtime.LockOSThread()
	p, err := call.Join(path)
	if err == nil {
		err = programs[flag.Arg(0)](p, flag.Args()[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "program:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

var programs = map[string]func(*call.Program, []string) error{"count": count}

// counting is count's private state.
type counting struct{ Round, Sum uint32 }

func word(p *call.Program, page, i int) []byte { return p.Region[page*4096+4*i:] }

func add(b []byte, v uint32) {
	binary.LittleEndian.PutUint32(b, v+binary.LittleEndian.Uint32(b))
}

// count has each node count in words of its own and in one that all share, under
// a lock, and asks at each barrier what the others have.
func count(p *call.Program, args []string) error {
	rounds, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	var s counting
	if b, ok, err := p.Restored(); err != nil {
		return err
	} else if ok {
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
	}
	me, nodes := int(p.Welcome.Node), int(p.Welcome.Nodes)
	for s.Round < uint32(rounds) {
		for lock := range uint32(3) {
			if _, err := p.Acquire(lock); err != nil {
				return err
			}
			add(word(p, int(lock), 0), 1)
			if _, err := p.Release(lock); err != nil {
				return err
			}
		}
		add(word(p, 5, me), s.Round+1) // false sharing
		if _, err := p.Call(uapi.DsmBarrier, 1); err != nil {
			return err
		}
		for i := range nodes {
			s.Sum = s.Sum*31 + binary.LittleEndian.Uint32(word(p, 5, i))
		}
		s.Sum += binary.LittleEndian.Uint32(word(p, 0, 0))
		s.Round++
		f, err := p.Call(uapi.DsmBarrier, 2)
		if err != nil {
			return err
		}
		if f.Due() {
			b, err := json.Marshal(s)
			if err != nil {
				return err
			}
			if err := p.Checkpoint(b, false); err != nil {
				return err
			}
		}
	}
	counts := make([]uint32, 3)
	for i := range counts {
		counts[i] = binary.LittleEndian.Uint32(word(p, i, 0))
	}
	if _, err := p.Call(uapi.DsmEnd); err != nil {
		return err
	}
	fmt.Println(counts, s.Sum)
	return p.Close()
}

// same compares what programs that count say.
func same(t *testing.T, out []string, total int) {
	t.Helper()
	want := fmt.Sprint([]uint32{uint32(total), uint32(total), uint32(total)})
	for i, o := range out {
		if o != out[0] || len(o) < len(want) || o[:len(want)] != want {
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
			c.waitFor(dsm.NodeID(i), uint32(60*(i+1)))
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

// waitFor waits until a node has done so many operations, and all are live.
func (c *cluster) waitFor(i dsm.NodeID, ordinal uint32) {
	c.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) {
		live := true
		var at uint32
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
