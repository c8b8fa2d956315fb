// SPDX-License-Identifier: Apache-2.0

package mtcp

import (
	"bytes"
	"math/rand/v2"
)

// pipe is a stream between two processes, in memory that both share and that
// outlives them.
type pipe struct {
	base uint64
	ring []byte // from base on
	r    Reader
	w    Writer
}

const ringSize = 8

// saved is a snapshot: a program's state and where its streams were.
type saved struct {
	p        program
	lsr, lsw map[int]uint64 // by peer
	ndi      bool
	actions  uint32
	shut     bool
	order    int
}

// world is a service that serves one client, and knows everything.
type world struct {
	s       Service
	procs   []program
	snaps   []saved
	pipes   map[[2]int]*pipe // by writer, reader
	up      Reader           // the root's
	log     []byte           // [up.LSR, up.End): the box's receive ring
	down    Writer
	hold    []byte // [down.Head, down.Pos) in a nondeterministic interval
	actions Actions
	option  byte
	k       *tcp
	dead    bool // S1 has gone, S2 is not there yet
	client  client
	net     network
	draws   map[[2]int]uint64
	canon   map[[3]int]byte // what was passed on first, by writer, reader, offset
	exports int
	broken  []string
	rng     *rand.Rand

	leak bool // a broken rule: output of nondeterministic intervals passes
}

func newWorld(s Service, requests []byte, rng *rand.Rand) *world {
	w := &world{s: s, procs: newPrograms(s), pipes: map[[2]int]*pipe{}, rng: rng, draws: map[[2]int]uint64{}, canon: map[[3]int]byte{},
		up: Reader{Size: ringSize}, actions: Actions{Size: 4}, client: client{requests: requests}}
	w.k = &tcp{state: Established}
	w.k.iss, w.k.irs = numberOf(rng), numberOf(rng)
	for i, parent := range s {
		if parent != Root {
			w.pipes[[2]int{parent, i}] = &pipe{r: Reader{Size: ringSize}}
			w.pipes[[2]int{i, parent}] = &pipe{r: Reader{Size: ringSize}}
		}
	}
	w.snaps = make([]saved, len(s))
	for i := range s {
		w.snaps[i] = w.save(i, false)
	}
	return w
}

// run lets process i do one op; false: it has to wait.
func (w *world) run(i int) bool {
	w.settle(i)
	p := &w.procs[i]
	o := p.next()
	peer := o.peer
	if peer == up {
		peer = w.s[i]
	}
	v := uint64(0)
	switch o.kind {
	case opDone:
		return false
	case opRead:
		b, ok := w.read(i, peer)
		if !ok {
			return w.atEnd(i, peer)
		}
		v = uint64(b)
	case opWrite:
		if !w.write(i, peer, o.b) {
			return false
		}
	case opDraw:
		v = w.rng.Uint64()
		w.draws[[2]int{i, p.draws}] = v
	case opEnter, opLeave:
		p.did(0)
		w.export(i)
		return true
	case opAction, opShut:
		if !w.act(i, o) {
			return false
		}
	}
	p.did(v)
	return true
}

func (w *world) atEnd(i, peer int) bool {
	p := &w.procs[i]
	if peer != Root || p.eof || !w.k.state.PeerFin() || len(w.k.rcv) > 0 || w.up.Pos < w.up.End || w.up.Full() {
		return false
	}
	p.end()
	return true
}

func (w *world) read(i, peer int) (byte, bool) {
	if peer == Root {
		return w.readConn()
	}
	c := w.pipes[[2]int{peer, i}]
	if c.r.Full() {
		w.export(i)
	}
	c.r.Fetch(min(c.r.Room(), c.w.Head-min(c.w.Head, c.r.End)))
	got := c.r.Logged(1)
	if got.Empty() {
		return 0, false
	}
	c.r.Read(1)
	return c.ring[got.From-c.base], true
}

func (w *world) readConn() (byte, bool) {
	if w.up.Full() {
		w.export(0)
	}
	if n := min(w.up.Room(), uint64(len(w.k.rcv)), 1); w.up.Pos == w.up.End && n > 0 { // straight into the log
		w.log = append(w.log, w.k.rcv[:n]...)
		w.k.rcv, w.k.rcvBase = w.k.rcv[n:], w.k.rcvBase+n
		w.up.Fetch(n)
	}
	got := w.up.Logged(1)
	if got.Empty() {
		return 0, false
	}
	w.up.Read(1)
	return w.log[got.From-w.up.LSR], true
}

// pass notes what is passed on; whoever passes on something else there, now or
// in a replay, has broken the stream.
func (w *world) pass(from, to int, off uint64, b byte) {
	key := [3]int{from, to, int(off)}
	if was, ok := w.canon[key]; ok && was != b {
		w.fail("stream %d to %d, byte %d: was %#x, is %#x", from, to, off, was, b)
	}
	w.canon[key] = b
}

func (w *world) write(i, peer int, b byte) bool {
	if peer == Root {
		w.writeConn(b)
		return true
	}
	c := w.pipes[[2]int{i, peer}]
	if c.w.Swallow(1) == 1 {
		w.pass(i, peer, c.w.Pos, b)
		c.w.Write(1)
		return true
	}
	if c.w.Pos-c.r.LSR >= ringSize {
		w.relieve(i, peer)
		return false
	}
	c.ring = append(c.ring[:c.w.Pos-c.base], b)
	if !c.w.Holds() || w.leak {
		w.pass(i, peer, c.w.Pos, b)
	}
	c.w.Write(1)
	if w.leak {
		c.w.Passed(c.w.Pos)
	}
	return true
}

// relieve: process i is about to wait for room that peer has to make. If peer
// waits for room in a log of i's, i exports.
func (w *world) relieve(i, peer int) {
	c := w.pipes[[2]int{peer, i}]
	c.r.Fetch(min(c.r.Room(), c.w.Head-min(c.w.Head, c.r.End)))
	if c.r.Crowded() {
		w.export(i)
	}
}

func (w *world) writeConn(b byte) {
	switch {
	case w.down.Swallow(1) == 1:
		w.pass(0, Root, w.down.Pos, b)
	case w.down.Holds() && !w.leak:
		w.hold = append(w.hold, b)
	default:
		w.pass(0, Root, w.down.Pos, b)
		w.k.snd = append(w.k.snd, b)
	}
	w.down.Write(1)
	if w.leak {
		w.down.Passed(max(w.down.Head, w.down.Pos))
	}
}

func (w *world) act(i int, o op) bool {
	x := Action{Kind: SetOption, Option: Option{6, 1, string([]byte{o.b})}, Pos: w.down.Pos}
	if o.kind == opShut {
		x = Action{Kind: ShutWrite, Pos: w.down.Pos}
	}
	again, err := w.actions.Repeats(x)
	if err != nil {
		w.fail("%v", err)
	}
	if !again && w.actions.Full() {
		w.export(i)
	}
	if !again && o.kind == opShut {
		w.k.event(Shut)
	}
	if !again && o.kind == opAction {
		w.option = o.b
	}
	w.actions.Done(x)
	return true
}

func (w *world) save(i int, ndi bool) saved {
	s := saved{p: w.procs[i], lsr: map[int]uint64{}, lsw: map[int]uint64{}, ndi: ndi, order: w.exports}
	for key, c := range w.pipes {
		if key[0] == i {
			s.lsw[key[1]] = c.w.Pos
		}
		if key[1] == i {
			s.lsr[key[0]] = c.r.Pos
		}
	}
	if i == 0 {
		s.lsr[Root], s.lsw[Root] = w.up.Pos, w.down.Pos
		s.actions = w.actions.Next
		s.shut = EndsWriting(w.actions.Repeated()) || w.snaps[0].shut
	}
	return s
}

// export takes a snapshot of process i; what it held may go.
func (w *world) export(i int) {
	ndi := w.procs[i].ndi
	w.exports++
	w.snaps[i] = w.save(i, ndi)
	for key, c := range w.pipes {
		if key[0] == i {
			if _, err := c.w.Export(ndi); err != nil {
				w.fail("%v", err)
			}
		}
		if key[1] == i {
			gone := c.r.Export()
			c.ring, c.base = bytes.Clone(c.ring[gone.To-c.base:]), gone.To
		}
	}
	if i == 0 {
		gone := w.up.Export()
		w.log = bytes.Clone(w.log[gone.Len():])
		w.actions.Export()
		if _, err := w.down.Export(ndi); err != nil {
			w.fail("%v", err)
		}
	}
	if w.rng.IntN(2) == 0 { // else it may die before
		w.settle(i)
	}
}

// settle passes on what process i's last snapshot released.
func (w *world) settle(i int) {
	for key, c := range w.pipes {
		if lsw := w.snaps[i].lsw[key[1]]; key[0] == i && lsw > c.w.Head {
			for off := c.w.Head; off < lsw; off++ {
				w.pass(key[0], key[1], off, c.ring[off-c.base])
			}
			c.w.Passed(lsw)
		}
	}
	if lsw := w.snaps[0].lsw[Root]; i == 0 && lsw > w.down.Head {
		w.flush(lsw - w.down.Head)
	}
}

// flush gives TCP the first n bytes of what is held.
func (w *world) flush(n uint64) {
	for i, b := range w.hold[:n] {
		w.pass(0, Root, w.down.Head+uint64(i), b)
	}
	w.k.snd = append(w.k.snd, w.hold[:n]...)
	w.hold = bytes.Clone(w.hold[n:])
	w.down.Passed(w.down.Head + n)
}
