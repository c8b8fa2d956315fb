// SPDX-License-Identifier: Apache-2.0

package mtcp

// opKind is one step of a program.
type opKind int

const (
	opRead opKind = iota
	opWrite
	opDraw   // a nondeterministic choice
	opEnter  // export, and begin a nondeterministic interval
	opLeave  // export, and end it
	opAction // an option is set on the connection
	opShut   // the root closes its sending half
	opDone
)

// op names the stream by the peer: a child's number, or up (parent or client).
const up = -1

type op struct {
	kind opKind
	peer int
	b    byte // to write, or the option's value
}

// program is a process of a service: what it does next follows from its state,
// bytes read and choices drawn, and nothing else. That state is its snapshot.
//
// It reads requests from above, hands each to all its children, takes their
// answers, and answers; some answers depend on a choice.
type program struct {
	root     bool
	children []int
	s        uint64 // what all input and all choices came to
	pc       int
	batch, i int // requests read before answers are awaited
	k        int // child
	out      int
	ndi, eof bool
	draws    int
}

func (p *program) next() op {
	switch p.pc {
	case 0:
		return op{kind: opRead, peer: up}
	case 1:
		return op{kind: opWrite, peer: p.children[p.k], b: byte(p.s>>8) + byte(p.k)}
	case 2:
		return op{kind: opRead, peer: p.children[p.k]}
	case 3:
		return op{kind: opEnter}
	case 4:
		return op{kind: opDraw}
	case 5:
		return op{kind: opWrite, peer: up, b: byte(p.s>>16) + byte(p.out)}
	case 6:
		return op{kind: opLeave}
	case 7:
		return op{kind: opAction, b: byte(p.s >> 24)}
	case 8:
		return op{kind: opShut}
	}
	return op{kind: opDone}
}

func mix(s, v uint64) uint64 {
	s = (s ^ v) * 0x9e3779b97f4a7c15
	return s ^ s>>29
}

// did goes on after the op of next; v is the byte read or the choice drawn.
func (p *program) did(v uint64) {
	switch p.pc {
	case 0:
		p.s = mix(p.s, v)
		if p.k = 0; len(p.children) > 0 {
			p.pc = 1
			return
		}
		p.asked()
	case 1:
		if p.k++; p.k == len(p.children) {
			p.asked()
		}
	case 2:
		p.s = mix(p.s, v+uint64(p.k))
		if p.k++; p.k == len(p.children) {
			p.k = 0
			p.i--
			p.answered()
		}
	case 3:
		p.ndi, p.pc = true, 4
	case 4:
		p.s, p.pc = mix(p.s, v), 5
		p.draws++
	case 5:
		if p.out--; p.out == 0 {
			p.replied()
		}
	case 6:
		p.ndi, p.pc = false, 7
		p.action()
	case 7:
		p.again()
	case 8:
		p.pc = 9
	}
}

// asked: a request has gone to all children. The root asks several times
// before it awaits answers, so that streams run full.
func (p *program) asked() {
	p.i++
	p.k = 0
	p.pc = 0
	if p.i == p.batch {
		p.pc = 2
		p.answered()
	}
}

func (p *program) answered() {
	if p.i > 0 && len(p.children) > 0 {
		return
	}
	p.i = 0
	p.out = 1
	if p.root {
		p.out = 1 + p.batch + int(p.s%3)
	}
	p.pc = 5
	if p.s%4 == 0 && !p.eof {
		p.pc = 3
	}
}

func (p *program) replied() {
	if p.pc = 6; !p.ndi {
		p.action()
	}
}

func (p *program) action() {
	if p.pc = 7; !p.root || p.s%7 != 0 {
		p.again()
	}
}

func (p *program) again() {
	p.pc = 0
	p.batch = 1
	if p.root {
		p.batch = 1 + int(p.s%3)
	}
	if p.eof {
		p.pc = 8
	}
}

// end: the client will send no more. The root waits for the answers that are
// due, says goodbye and closes.
func (p *program) end() {
	p.eof = true
	p.batch = p.i
	p.k = 0
	p.pc = 2
	p.answered()
}

func newPrograms(s Service) []program {
	ps := make([]program, len(s))
	for i, parent := range s {
		ps[i] = program{root: i == 0, s: uint64(i) + 1, batch: 1}
		if parent != Root {
			ps[parent].children = append(ps[parent].children, i)
		}
	}
	return ps
}

// play is the service without servers that fail, without streams, without
// snapshots: what the client must get for its requests, given the choices.
func play(s Service, requests []byte, draw func(proc, n int) uint64) (answers []byte, option byte) {
	ps := newPrograms(s)
	queues := map[[2]int][]byte{{up, 0}: requests}
	for moved := true; moved; {
		moved = false
		for i := range ps {
			for {
				p := &ps[i]
				o := p.next()
				peer := o.peer
				if peer == up {
					peer = s[i]
				}
				v := uint64(0)
				switch o.kind {
				case opDone:
				case opRead:
					q := queues[[2]int{peer, i}]
					if len(q) == 0 && peer == Root && !p.eof {
						p.end()
						moved = true
						continue
					}
					if len(q) == 0 {
						o.kind = opDone
						break
					}
					v, queues[[2]int{peer, i}] = uint64(q[0]), q[1:]
				case opWrite:
					queues[[2]int{i, peer}] = append(queues[[2]int{i, peer}], o.b)
				case opDraw:
					v = draw(i, p.draws)
				case opAction:
					option = o.b
				}
				if o.kind == opDone {
					break
				}
				p.did(v)
				moved = true
			}
		}
	}
	return queues[[2]int{0, Root}], option
}
