// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp"
)

// §2.4.1, §2.4.2: process service sets of any tree shape. Each process asks all
// below it and answers by what it has been asked ever; at any moment one of them
// is replaced, or all move to another server. The client's answers are those of
// processes that never failed, and the tree and its order stay the same.
func TestTreesAreKilledAndMoved(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { newTree(t, seed).test() })
	}
}

// tree is a service whose process i is below parent[i].
type tree struct {
	t      *testing.T
	rng    *rand.Rand
	parent []int
	every  []uint64 // it exports after so many requests

	client *net.TCPConn
	conn   *net.TCPConn // the keeper's
	done   chan struct{}

	answers atomic.Uint64

	mu     sync.Mutex
	region Region
	slots  []uint32 // of the processes, in this box; none yet: uapi.CboxNone
	faults int
}

func newTree(t *testing.T, seed uint64) *tree {
	tr := &tree{t: t, rng: rand.New(rand.NewPCG(seed, 6)), parent: []int{mtcp.Root}, done: make(chan struct{})}
	for i := range 1 + tr.rng.IntN(6) {
		tr.parent = append(tr.parent, tr.rng.IntN(i+1))
	}
	for range tr.parent {
		tr.every = append(tr.every, 1+tr.rng.Uint64N(7))
		tr.slots = append(tr.slots, uapi.CboxNone)
	}
	client, server := dialed(t)
	_ = client.SetDeadline(time.Now().Add(hang))
	c, err := Create(server, Config{Processes: len(tr.parent), Channels: len(tr.parent) - 1, Ring: 1024, Log: 1024, Snapshot: 64})
	if err != nil {
		t.Fatal(err)
	}
	tr.client, tr.conn, tr.region = client, dup(t, server), keptRegion(t, c)
	c.letGo()
	return tr
}

func (tr *tree) children(i int) (all []int) {
	for c, p := range tr.parent {
		if p == i {
			all = append(all, c)
		}
	}
	return all
}

// model answers as processes do that never fail.
func (tr *tree) model(digests []uint64, i int, v uint64) uint64 {
	for n, c := range tr.children(i) {
		v += tr.model(digests, c, v+uint64(n))
	}
	digests[i] = step(digests[i], v)
	return digests[i]
}

func (tr *tree) test() {
	tr.replace(0)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		tr.trouble()
	}()
	digests := make([]uint64, len(tr.parent))
	b := make([]byte, 8)
	for i := uint64(0); i < 60 || tr.count() < 10; i++ {
		send(tr.t, tr.client, string(le.AppendUint64(nil, i)))
		if _, err := io.ReadFull(tr.client, b); err != nil {
			tr.t.Fatalf("answer %d: %v", i, err)
		}
		if want := tr.model(digests, 0, i); le.Uint64(b) != want {
			tr.t.Fatalf("answer %d is %#x, want %#x", i, le.Uint64(b), want)
		}
		tr.answers.Add(1)
	}
	close(tr.done)
	<-stopped
	tr.checkShape()
	tr.t.Logf("%d processes, %d faults", len(tr.parent), tr.count())
}

func (tr *tree) count() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.faults
}

// trouble replaces one process or moves them all, every now and then; the next
// time mostly after some answers, however slow the machine is.
func (tr *tree) trouble() {
	for next := uint64(0); ; {
		select {
		case <-tr.done:
			return
		case <-time.After(time.Duration(tr.rng.IntN(2000)) * time.Microsecond):
		}
		if tr.answers.Load() < next {
			continue
		}
		if tr.rng.IntN(3) == 0 {
			tr.move([]mtcp.Policy{mtcp.Whole, mtcp.Minimal}[tr.rng.IntN(2)])
		} else {
			tr.replace(tr.rng.IntN(len(tr.parent)))
		}
		tr.mu.Lock()
		tr.faults++
		tr.mu.Unlock()
		next = tr.answers.Load() + tr.rng.Uint64N(4)
	}
}

func (tr *tree) move(p mtcp.Policy) {
	b := movedBox(tr.t, tr.where(), tr.conn, p)
	h := must(b.Head())
	tr.mu.Lock()
	tr.region = b.region
	for slot := range h.ProcTable {
		if i, err := strconv.Atoi(nameOf(&h.ProcTable[slot])); err == nil && h.joined(uint32(slot)) {
			tr.slots[i] = uint32(slot)
		}
	}
	tr.mu.Unlock()
	for i := range tr.parent {
		tr.replace(i)
	}
}

func (tr *tree) where() Region {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.region
}

// replace starts process i, which takes over from whatever it was before.
func (tr *tree) replace(i int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if i == 0 {
		c, err := Resume(tr.region, dup(tr.t, tr.conn), Config{})
		if err != nil {
			tr.t.Errorf("the root: %v", err)
			return
		}
		_ = c.SetDeadline(time.Now().Add(hang))
		go tr.run(0, c.Session, c)
		return
	}
	if tr.slots[i] == uapi.CboxNone {
		return // nobody has associated it yet
	}
	s, err := Open(tr.region, tr.slots[i], Config{})
	if err != nil {
		tr.t.Errorf("process %d: %v", i, err)
		return
	}
	go tr.run(i, s, timed(s.Channels()[0]))
}

func (tr *tree) run(i int, s *Session, parent io.ReadWriter) {
	err := tr.serve(i, s, parent)
	select {
	case <-tr.done:
	default:
		if !errors.Is(err, ErrMigrated) {
			tr.t.Errorf("process %d: %v", i, err)
		}
	}
}

func (tr *tree) serve(i int, s *Session, parent io.ReadWriter) error {
	var n, digest uint64
	if b, ok := s.Import(); ok {
		n, digest = le.Uint64(b), le.Uint64(b[8:])
	}
	below, err := tr.associate(i, s)
	if err != nil {
		return err
	}
	b := make([]byte, 8)
	for {
		if _, err := io.ReadFull(parent, b); err != nil {
			return err
		}
		v := le.Uint64(b)
		for k, c := range below {
			if _, err := c.Write(le.AppendUint64(nil, v+uint64(k))); err != nil {
				return err
			}
			if _, err := io.ReadFull(c, b); err != nil {
				return err
			}
			v += le.Uint64(b)
		}
		digest = step(digest, v)
		if _, err := parent.Write(le.AppendUint64(nil, digest)); err != nil {
			return err
		}
		if n++; n%tr.every[i] == 0 {
			if err := s.Export(le.AppendUint64(le.AppendUint64(nil, n), digest)); err != nil {
				return err
			}
		}
	}
}

// associate adds those below process i, and starts them the first time.
func (tr *tree) associate(i int, s *Session) (below []*Channel, err error) {
	for _, c := range tr.children(i) {
		child, err := s.Associate(strconv.Itoa(c), 1)
		if err != nil {
			return nil, err
		}
		below = append(below, timed(child.Channels[0]))
		tr.mu.Lock()
		first := tr.slots[c] == uapi.CboxNone
		tr.slots[c] = child.Slot
		tr.mu.Unlock()
		if first {
			tr.replace(c)
		}
	}
	return below, nil
}

// checkShape: the box has the tree that was drawn, children in their order.
func (tr *tree) checkShape() {
	b := must(OpenBox(tr.where()))
	defer b.Close()
	h := must(b.Head())
	var want []int
	var preorder func(i int)
	preorder = func(i int) {
		want = append(want, i)
		for _, c := range tr.children(i) {
			preorder(c)
		}
	}
	preorder(0)
	var got []int
	for _, slot := range h.Order() {
		i, _ := strconv.Atoi(nameOf(&h.ProcTable[slot])) // the root has no name
		got = append(got, i)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		tr.t.Errorf("order %v, want %v of %v", got, want, tr.parent)
	}
}
