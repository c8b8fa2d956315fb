// SPDX-License-Identifier: Apache-2.0

package dsm

import "math/rand/v2"

type kind uint8

const (
	kOp    kind = iota
	kRead       // a byte, into acc
	kWrite      // val ^ acc
	kAdd        // val, to what is there
	kUntil      // go on if the byte is at least val, else at to
	kJump
)

// instr is one instruction of a test's program: an operation, or an access to
// one byte.
type instr struct {
	kind kind
	op   Op
	at   int
	val  byte
	to   int
}

func (i instr) access() bool { return i.kind != kOp && i.kind != kJump }

func (i instr) needs() Access {
	if i.kind == kWrite || i.kind == kAdd {
		return Write
	}
	return Read
}

func op(k OpKind, id int) instr { return instr{op: Op{Kind: k, ID: uint32(id)}} }
func read(at int) instr         { return instr{kind: kRead, at: at} }
func write(at, v int) instr     { return instr{kind: kWrite, at: at, val: byte(v)} }
func add(at, v int) instr       { return instr{kind: kAdd, at: at, val: byte(v)} }

// section is a critical section.
func section(lock int, body ...instr) []instr {
	return append(append([]instr{op(Acquire, lock)}, body...), op(Release, lock))
}

// await takes the lock and sleeps on cond until the byte is at least v.
func (p *program) await(lock, cond, at, v int) {
	look := len(p.code) + 1
	p.add(op(Acquire, lock),
		instr{kind: kUntil, at: at, val: byte(v), to: look + 2},
		instr{kind: kJump, to: look + 7},
		op(CondEnter, cond), op(Release, lock), op(CondSleep, cond), op(Acquire, lock),
		instr{kind: kJump, to: look})
}

type program struct{ code []instr }

func (p *program) add(is ...instr) { p.code = append(p.code, is...) }

// litmus draws programs without data races: some bytes belong to a lock, others
// in each phase to one writer or to all readers. Neighbouring bytes have nothing
// in common, so pages are shared falsely everywhere.
type litmus struct {
	rng           *rand.Rand
	nodes, bytes  int
	locks, phases int
	steps, inside int
	salt          uint64
	places        int // pages that programs give homes to
}

// lockOf is the lock that a byte belongs to, or -1.
func (l *litmus) lockOf(b int) int {
	if h := int(mix(l.salt, uint64(b)) % uint64(2*l.locks)); h < l.locks {
		return h
	}
	return -1
}

// writer is who writes a byte in a phase, or -1 if all may read it.
func (l *litmus) writer(b, phase int) int {
	h := int(mix(l.salt+1, uint64(b)<<16|uint64(phase)) % uint64(l.nodes+2))
	if h >= l.nodes {
		return -1
	}
	return h
}

func mix(a, b uint64) uint64 {
	x := (a+0x9e3779b97f4a7c15)*0xbf58476d1ce4e5b9 ^ (b+0x632be59bd9b4e019)*0x94d049bb133111eb
	x ^= x >> 29
	x *= 0xff51afd7ed558ccd
	return x ^ x>>32
}

func (l *litmus) program(me int) []instr {
	var p program
	for page := range l.places {
		if l.rng.IntN(3) == 0 { // the first word counts
			p.add(instr{op: Op{Kind: Place, ID: uint32(page), Node: NodeID(l.rng.IntN(l.nodes))}})
		}
	}
	for phase := range l.phases {
		for range l.rng.IntN(l.steps + 1) {
			if l.rng.IntN(2) == 0 {
				p.add(l.free(me, phase)...)
				continue
			}
			lock := l.rng.IntN(l.locks)
			body := l.body(me, phase, lock)
			if inner := lock + 1 + l.rng.IntN(l.locks); inner < l.locks { // in order: no deadlock
				body = append(body, section(inner, l.body(me, phase, inner)...)...)
				body = append(body, l.body(me, phase, lock)...)
			}
			p.add(section(lock, body...)...)
		}
		p.add(op(Barrier, phase%3))
	}
	for b := range l.bytes {
		p.add(read(b))
	}
	p.add(op(Barrier, 9))
	return p.code
}

// body is what a program does with a lock held.
func (l *litmus) body(me, phase, lock int) []instr {
	var is []instr
	for range l.rng.IntN(l.inside + 1) {
		b := l.rng.IntN(l.bytes)
		switch {
		case l.lockOf(b) == lock && l.rng.IntN(3) == 0:
			is = append(is, read(b))
		case l.lockOf(b) == lock:
			is = append(is, add(b, 1+l.rng.IntN(9)))
		case l.rng.IntN(3) == 0:
			is = append(is, l.free(me, phase)...)
		}
	}
	return is
}

// free is an access that the phase allows.
func (l *litmus) free(me, phase int) []instr {
	b := l.rng.IntN(l.bytes)
	if l.lockOf(b) >= 0 {
		return nil
	}
	switch l.writer(b, phase) {
	case -1:
		return []instr{read(b)}
	case me:
		if l.rng.IntN(3) == 0 {
			return []instr{add(b, 1)}
		}
		return []instr{write(b, l.rng.IntN(256))}
	}
	return nil
}
