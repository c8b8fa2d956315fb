// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lazystate/dsm"
	"lazystate/dsm/diff"
	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
	"lazystate/dsm/wire"
)

var testConfig = dsm.Config{Self: 1, Nodes: 3, Pages: 12, PageSize: 64, Locks: 2}

// node is what a store's node would do, without the protocol: its pages change, it
// saves and discards, and it knows what it was told to be safe.
type node struct {
	t       *testing.T
	rng     *rand.Rand
	d       *memDisk
	dirs    []string
	s       *Store
	inc     uint32
	pages   map[dsm.Page]dsm.SavedPage
	number  uint32                 // of the last checkpoint that is safe
	given   map[uint32]*checkpoint // by number, what was given last
	window  []uint32               // safe and not discarded
	gone    map[logs.PageCopy]bool
	perPage bool
	clock   vtime.Time
}

type checkpoint struct {
	*dsm.State
	private []byte
}

func newNode(t *testing.T, seed uint64, dirs ...string) *node {
	n := &node{t: t, rng: rand.New(rand.NewPCG(seed, 1)), d: newMemDisk(), dirs: dirs, given: map[uint32]*checkpoint{}, gone: map[logs.PageCopy]bool{}}
	n.perPage = seed%2 == 1
	n.d.noLink = seed%5 == 4
	for _, dir := range dirs {
		if err := n.d.mkdir(dir); err != nil {
			t.Fatal(err)
		}
	}
	n.d.root.settle()
	return n
}

// begin opens the store and compares the past with what the node knows.
func (n *node) begin() error {
	n.s = &Store{cfg: testConfig}
	if err := n.s.open(n.d, n.dirs); err != nil {
		return err
	}
	inc, past, err := n.s.Begin()
	if err != nil {
		return err
	}
	if inc <= n.inc {
		n.t.Fatalf("incarnation %d follows %d", inc, n.inc)
	}
	n.inc = inc
	n.compare(past)
	n.clean()
	return nil
}

// compare is of what is there and what must be.
func (n *node) compare(past *Past) {
	n.t.Helper()
	if len(past.Damaged) > 0 {
		n.t.Fatalf("damaged: %v", past.Damaged)
	}
	number := uint32(0)
	if past.State != nil {
		number = past.State.Number
	}
	if number != n.number && number != n.number+1 {
		n.t.Fatalf("the past is checkpoint %d, %d is safe", number, n.number)
	}
	if number > n.number { // whole, and the node was not told
		n.window = append(n.window, number)
		n.number = number
	}
	n.pages = map[dsm.Page]dsm.SavedPage{}
	if number > 0 {
		want := n.given[number]
		if !bytes.Equal(n.encoded(want.State), n.encoded(past.State)) {
			n.t.Fatalf("checkpoint %d: %s", number, cmp.Diff(want.State, past.State, cmpopts.EquateEmpty()))
		}
		if !bytes.Equal(want.private, past.Private) {
			n.t.Fatalf("checkpoint %d has another private state", number)
		}
		for _, p := range past.State.Pages {
			n.pages[p.Page] = p
		}
	}
	n.compareWindow(past.Window)
}

func (n *node) encoded(s *dsm.State) []byte {
	n.t.Helper()
	b, err := wire.AppendState(nil, s, testConfig.Nodes, testConfig.PageSize)
	if err != nil {
		n.t.Fatal(err)
	}
	return b
}

func (n *node) compareWindow(window []logs.Kept) {
	n.t.Helper()
	var numbers []uint32
	for _, k := range window {
		numbers = append(numbers, k.Number)
	}
	if !slices.IsSorted(numbers) || len(n.window) > len(numbers) || !slices.Equal(numbers[len(numbers)-len(n.window):], n.window) {
		n.t.Fatalf("the window is %v, not %v", numbers, n.window)
	}
	n.window = numbers
	for _, k := range window {
		want := n.given[k.Number].Kept()
		for p := range want.Pages {
			if _, ok := k.Pages[p]; !ok && !n.gone[logs.PageCopy{Number: k.Number, Page: p}] {
				n.t.Fatalf("checkpoint %d has lost page %d", k.Number, p)
			}
		}
		for p, v := range k.Pages {
			if !v.Equal(want.Pages[p]) {
				n.t.Fatalf("page %d of checkpoint %d has version %v, not %v", p, k.Number, v, want.Pages[p])
			}
			n.compareCopy(k.Number, p)
		}
	}
}

func (n *node) compareCopy(number uint32, p dsm.Page) {
	n.t.Helper()
	b, err := n.s.Page(number, p)
	if err != nil {
		n.t.Fatalf("page %d of checkpoint %d: %v", p, number, err)
	}
	for _, s := range n.given[number].Pages {
		if s.Page == p && !bytes.Equal(s.Bytes, b) {
			n.t.Fatalf("page %d of checkpoint %d has other bytes", p, number)
		}
	}
}

// clean finds what should have been cleared away.
func (n *node) clean() {
	n.t.Helper()
	for _, dir := range n.dirs {
		names, _ := n.d.names(dir)
		for _, name := range names {
			_, ok := numbered(name, ckptPrefix)
			if !ok && name != windowName {
				n.t.Fatalf("%s is left: %s", name, strings.Join(n.d.log, "\n"))
			}
		}
	}
}

// write changes some pages.
func (n *node) write() {
	for range n.rng.IntN(4) {
		p := dsm.Page(n.rng.IntN(testConfig.Pages))
		s := dsm.SavedPage{Page: p, Homed: true, Home: testConfig.Self, V: n.time(), Need: n.time()}
		s.Bytes = make([]byte, testConfig.PageSize)
		for i := range s.Bytes {
			s.Bytes[i] = byte(n.rng.Uint32())
		}
		n.pages[p] = s
	}
}

// time rises.
func (n *node) time() vtime.Time {
	if n.clock == nil {
		n.clock = vtime.New(testConfig.Nodes)
	}
	n.clock[n.rng.IntN(len(n.clock))]++
	return n.clock.Clone()
}

// state is the next checkpoint.
func (n *node) state() *checkpoint {
	st := &dsm.State{
		Stamp: dsm.Stamp{Number: n.number + 1, T: n.time(), Ordinal: n.rng.Uint64(), Barriers: 3}, V: n.time(), Last: n.time(),
		Notices: make([][]logs.Notice, testConfig.Nodes), Peers: make([]dsm.SavedPeer, testConfig.Nodes),
	}
	for i := range st.Peers {
		st.Peers[i].Ckp.T = n.time()
	}
	for _, p := range slices.Sorted(maps.Keys(n.pages)) {
		st.Pages = append(st.Pages, n.pages[p])
	}
	if n.rng.IntN(2) == 0 { // a page of another's, whose home is known
		p := dsm.Page(n.rng.IntN(testConfig.Pages))
		if _, ok := n.pages[p]; !ok {
			st.Pages = append(st.Pages, dsm.SavedPage{Page: p, Homed: true, Home: 2, Need: n.time()})
		}
	}
	st.Diffs = []logs.Diff{{Page: 1, Writer: testConfig.Self, Interval: n.rng.Uint64(), T: n.time(), Diff: diff.Diff{{Off: 3, Data: []byte{1, 2}}}}}
	return &checkpoint{st, []byte(fmt.Sprintf("private %d", n.rng.Uint64()))}
}

// save is one checkpoint. The node is told that it is safe, or not.
func (n *node) save() error {
	n.write()
	c := n.state()
	n.given[c.Number] = c
	if err := n.s.Save(c.State, c.private); err != nil {
		return err
	}
	n.number = c.Number
	n.window = append(n.window, c.Number)
	return nil
}

// collect discards something of what is old.
func (n *node) collect() {
	if n.perPage && len(n.window) > 1 {
		for range n.rng.IntN(6) {
			n.discardPage()
		}
	}
	for len(n.window) > 3 || len(n.window) > 1 && n.rng.IntN(3) == 0 {
		n.s.Discard(n.window[0])
		n.window = n.window[1:]
	}
}

// discardPage is of one that a newer checkpoint has as well.
func (n *node) discardPage() {
	old := n.given[n.window[n.rng.IntN(len(n.window)-1)]]
	for _, p := range old.Pages {
		if p.Bytes != nil && n.rng.IntN(2) == 0 {
			n.gone[logs.PageCopy{Number: old.Number, Page: p.Page}] = true
			n.s.DiscardPage(old.Number, p.Page)
			return
		}
	}
}

// live is a life with some checkpoints, until the disk does not do any more.
func (n *node) live(saves int) error {
	if err := n.begin(); err != nil {
		return err
	}
	for range saves {
		if err := n.save(); err != nil {
			return err
		}
		n.collect()
	}
	return n.s.Close()
}
