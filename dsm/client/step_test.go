// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"strings"
	"testing"
)

// walker is a program with private state: each node walks over a shared ring and
// adds to it what it has seen.
func walker(steps int, out *[4]int64) func(n *Node) error {
	type state struct {
		At  int
		Sum int64
	}
	return func(n *Node) error {
		ring := Slice[int64](n, 16)
		locks := n.Locks(len(ring))
		var s state
		n.Private("walk", &s)
		n.Run(func(k int) bool {
			if k == 0 {
				s.At = n.ID()
				n.Barrier()
				return true
			}
			n.Lock(locks + s.At)
			ring[s.At] += int64(k)
			s.Sum += int64(k * s.At)
			n.Unlock(locks + s.At)
			s.At = (s.At + 5) % len(ring)
			return k < steps
		})
		n.Barrier()
		total := s.Sum
		for i, v := range ring {
			total += int64(i+1) * v
		}
		out[n.ID()] = total
		return nil
	}
}

// A node that is restarted between any steps, or between all, ends as one that
// is not.
func TestRestarts(t *testing.T) {
	const steps = 7
	var want [4]int64
	if err := Local(LocalConfig{Nodes: 4}, walker(steps, &want)); err != nil {
		t.Fatal(err)
	}
	for name, restart := range map[string]func(node, step int) bool{
		"all":  func(int, int) bool { return true },
		"odd":  func(node, step int) bool { return (node+step)%2 == 1 },
		"once": func(node, step int) bool { return node == 2 && step == 4 },
	} {
		lives := 0
		var got [4]int64
		err := Local(LocalConfig{Nodes: 4, Restart: restart}, func(n *Node) error {
			if n.ID() == 2 {
				lives++
			}
			return walker(steps, &got)(n)
		})
		if err != nil || got != want {
			t.Errorf("%s: %v, not %v: %v", name, got, want, err)
		}
		if lives < 2 {
			t.Errorf("%s: node 2 was not restarted", name)
		}
	}
}

// A checkpoint of another program is refused, not misread.
func TestAnotherProgramsCheckpoint(t *testing.T) {
	for name, c := range map[string]struct {
		private []string
		want    string
	}{
		"other": {[]string{"y"}, "not in the checkpoint"},
		"more":  {[]string{"x", "y"}, "not in the checkpoint"},
		"less":  {nil, "did not register"},
	} {
		lives := 0
		err := Local(LocalConfig{Restart: func(int, int) bool { return true }}, func(n *Node) error {
			names := c.private
			if lives++; lives == 1 {
				names = []string{"x"}
			}
			for _, name := range names {
				n.Private(name, new(int))
			}
			step(n)
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTornImage(t *testing.T) {
	if _, err := newNode(setup{image: []byte{1, 2, 3}}, nil); err == nil {
		t.Error("nonsense was taken for private state")
	}
}

func ExampleNode_Run() {
	err := Local(LocalConfig{Nodes: 2}, func(n *Node) error {
		total := Slice[int](n, 1)
		lock := n.Locks(1)
		var mine int // survives this process
		n.Private("mine", &mine)
		n.Run(func(k int) bool {
			mine += k
			n.Lock(lock)
			total[0] += k
			n.Unlock(lock)
			return k < 10
		})
		n.Barrier()
		if n.ID() == 0 {
			fmt.Println(mine, total[0])
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// 55 110
	// <nil>
}

func ExampleSlice() {
	type body struct{ Pos, Vel [3]float64 }
	err := Local(LocalConfig{Nodes: 4}, func(n *Node) error {
		bodies := Slice[body](n, 1000)
		for i := n.ID(); i < len(bodies); i += n.Nodes() {
			bodies[i].Pos[0] = float64(i)
		}
		n.Barrier()
		if n.ID() == 3 {
			fmt.Println(bodies[500].Pos[0])
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// 500
	// <nil>
}

func ExampleNode_Wait() {
	err := Local(LocalConfig{Nodes: 2}, func(n *Node) error {
		ready := Slice[bool](n, 1)
		lock, cond := n.Locks(1), n.Conds(1)
		n.Lock(lock)
		if n.ID() == 0 {
			ready[0] = true
			n.Broadcast(cond)
		}
		for !ready[0] {
			n.Wait(cond, lock)
		}
		n.Unlock(lock)
		if n.ID() == 1 {
			fmt.Println("node 1 goes on")
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// node 1 goes on
	// <nil>
}
