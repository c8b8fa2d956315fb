// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"testing"

	"lazystate/dsm"
	"lazystate/dsm/logs"
)

// driver is the least that a node needs around it: a region, a disk, and links
// that carry bytes.
type driver struct {
	t     *testing.T
	cfg   dsm.Config
	n     *dsm.Node
	mem   region
	may   []dsm.Access
	links *[][]byte
	disk  map[uint32][]byte
	last  uint32
	saved int // the program's private state: rounds that are over, as of last
	waits bool
}

type region [][]byte

func (d *driver) Bytes(p dsm.Page) []byte            { return d.mem[p] }
func (d *driver) Protect(p dsm.Page, may dsm.Access) { d.may[p] = may }

// perform does what the node asks for.
func (d *driver) perform(effects []dsm.Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case dsm.Send:
			b, err := AppendMessage(nil, e.Message, d.cfg.Nodes, d.cfg.PageSize)
			if err != nil {
				d.t.Fatal(err)
			}
			*d.links = append(*d.links, b)
		case dsm.Done, dsm.Resume:
			d.waits = false
		case dsm.Save:
			b, err := AppendState(nil, e.State, d.cfg.Nodes, d.cfg.PageSize)
			if err != nil {
				d.t.Fatal(err)
			}
			d.disk[e.State.Number], d.last = b, e.State.Number
			d.perform(d.n.Step(dsm.Saved{Number: e.State.Number}))
		case dsm.Load:
			for _, p := range d.parse(e.Number).Pages {
				if p.Page == e.Page {
					d.perform(d.n.Step(dsm.Loaded{To: e.To, Number: e.Number, Page: e.Page, Bytes: p.Bytes}))
				}
			}
		case dsm.Discard:
			delete(d.disk, e.Number)
		case dsm.Ignored, dsm.Refuse:
			d.t.Fatalf("%v: %+v", d.cfg.Self, e)
		}
	}
}

func (d *driver) parse(number uint32) *dsm.State {
	s, err := ParseState(d.disk[number], d.cfg.Nodes, d.cfg.PageSize)
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// restart makes the node anew from its last checkpoint.
func (d *driver) restart(inc uint32) {
	d.clear()
	var window []logs.Kept
	for i := uint32(1); i <= d.last; i++ {
		if _, ok := d.disk[i]; ok {
			window = append(window, d.parse(i).Kept())
		}
	}
	n, effects := dsm.Restart(d.cfg, d, d.parse(d.last), window, inc)
	d.n = n
	d.perform(effects)
}

func (d *driver) clear() {
	d.mem, d.may = nil, make([]dsm.Access, d.cfg.Pages)
	for range d.cfg.Pages {
		d.mem = append(d.mem, make([]byte, d.cfg.PageSize))
	}
}

// deliver takes the oldest message that is under way to a node.
func deliver(t *testing.T, nodes []*driver, links *[][]byte) {
	b := (*links)[0]
	*links = (*links)[1:]
	m, err := ParseMessage(b, nodes[0].cfg.Nodes, nodes[0].cfg.PageSize)
	if err != nil {
		t.Fatal(err)
	}
	d := nodes[m.To]
	d.perform(d.n.Step(dsm.Deliver{Message: m}))
}

// do lets a node's program do an operation, or fault until it may access.
func do(t *testing.T, nodes []*driver, links *[][]byte, d *driver, in dsm.Input) {
	d.waits = true
	d.perform(d.n.Step(in))
	for d.waits {
		if len(*links) == 0 {
			t.Fatalf("%v waits for %+v, and nothing is under way", d.cfg.Self, in)
		}
		deliver(t, nodes, links)
	}
}

// count adds one to a counter under a lock.
func count(t *testing.T, nodes []*driver, links *[][]byte, d *driver) {
	do(t, nodes, links, d, dsm.Begin{Op: dsm.Op{Kind: dsm.Acquire, ID: 1}})
	for d.may[2] != dsm.Write {
		do(t, nodes, links, d, dsm.Fault{Page: 2, Write: true})
	}
	d.mem[2][5]++
	do(t, nodes, links, d, dsm.Begin{Op: dsm.Op{Kind: dsm.Release, ID: 1}})
}

// Nodes that know each other by bytes alone, and are restarted from bytes, count
// as one.
func TestClusterOverTheWire(t *testing.T) {
	const rounds = 40
	var links [][]byte
	var all []*driver
	for i := range nodes {
		d := &driver{t: t, links: &links, disk: map[uint32][]byte{}, cfg: dsm.Config{Self: dsm.NodeID(i), Nodes: nodes, Pages: 4, PageSize: pageSize, Locks: 2}}
		d.clear()
		d.n = dsm.New(d.cfg, d)
		all = append(all, d)
	}
	inc := [nodes]uint32{1, 1, 1}
	for round := range rounds {
		for i, d := range all {
			count(t, all, &links, d)
			if (round+i)%4 == 0 {
				d.perform(d.n.Step(dsm.Checkpoint{}))
				d.saved = round + 1
			}
			if round%7 != 6 || i != round%nodes {
				continue
			}
			for len(links) > 0 { // what is on its way comes, the rest is lost with the node
				deliver(t, all, &links)
			}
			inc[i]++
			d.restart(inc[i])
			for range round + 1 - d.saved { // the program does again what its state does not have
				count(t, all, &links, d)
			}
			for len(links) > 0 {
				deliver(t, all, &links)
			}
			if !d.n.Live() {
				t.Fatalf("%v does not come back", d.cfg.Self)
			}
		}
	}
	do(t, all, &links, all[0], dsm.Begin{Op: dsm.Op{Kind: dsm.Acquire, ID: 1}})
	for all[0].may[2] == dsm.None {
		do(t, all, &links, all[0], dsm.Fault{Page: 2})
	}
	if got := int(all[0].mem[2][5]); got != rounds*nodes {
		t.Errorf("counted to %d, not %d", got, rounds*nodes)
	}
}
