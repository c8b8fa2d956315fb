// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"reflect"
	"slices"
	"testing"
	"time"

	"lazystate/bench/soaktest"
)

// choice is one thing that can happen next.
type choice struct {
	what string
	who  NodeID // who receives, runs, crashes
	from NodeID // or which look
}

// choices lists all. Messages of one channel come in order: what comes out of
// order waits anyway, and the random scheduler tries that.
func (w *world) choices(crashes, checkpoints int) []choice {
	var all []choice
	for _, p := range w.procs {
		for _, q := range w.procs {
			if p.up && w.first(q.id, p.id) >= 0 {
				all = append(all, choice{"deliver", p.id, q.id})
			}
		}
		for i, l := range w.looks {
			if l.who == p.id {
				all = append(all, choice{"find", p.id, NodeID(i)}, choice{"miss", p.id, NodeID(i)})
			}
		}
		switch {
		case !p.up:
			all = append(all, choice{"restart", p.id, 0})
			continue
		case !p.waits && p.pc < len(p.prog):
			all = append(all, choice{"run", p.id, 0})
		}
		if p.atOp && !p.waits && p.writing == nil && p.n.Live() && int(p.n.stamp.Number) < checkpoints && p.pc < len(p.prog) {
			all = append(all, choice{"checkpoint", p.id, 0})
		}
		if p.writing != nil {
			all = append(all, choice{"save", p.id, 0})
		}
		if w.lost() < crashes && w.steady() && !w.finished() {
			all = append(all, choice{"crash", p.id, 0})
		}
	}
	return all
}

func (w *world) lost() int {
	n := 0
	for _, p := range w.procs {
		n += int(p.inc) - 1
	}
	return n
}

// first is the next message of a channel.
func (w *world) first(from, to NodeID) int {
	return slices.IndexFunc(w.net, func(m *Message) bool { return m.From == from && m.To == to })
}

// choose lets it happen. A crash takes along what was under way: that it came
// first is another schedule.
func (w *world) choose(c choice) {
	p := w.procs[c.who]
	switch c.what {
	case "deliver":
		w.deliver(w.first(c.from, c.who), false)
	case "find", "miss":
		w.answer(int(c.from), c.what == "find")
	case "run":
		w.run(p)
	case "checkpoint":
		w.step(p, Checkpoint{})
	case "save":
		w.land(p)
		w.tellSaved(p)
	case "crash":
		p.up, p.writing = false, nil
		w.net = slices.DeleteFunc(w.net, func(m *Message) bool { return m.From == p.id || m.To == p.id })
		w.looks = slices.DeleteFunc(w.looks, func(l look) bool { return l.who == p.id })
	case "restart":
		w.restart(p)
	}
}

// explorer visits every state that a world can be in.
type explorer struct {
	t                    *testing.T
	make                 func() *world
	crashes, checkpoints int
	seen                 map[[16]byte]bool
	path                 []choice
	ends                 int
	until                time.Time
	cut                  bool
}

// explore goes on from a world, which it uses up.
func (e *explorer) explore(w *world) {
	if len(w.broken) > 0 {
		e.t.Fatalf("%s after %v", w.broken[0], e.path)
	}
	if w.steady() {
		w.audit()
	}
	h := digest(w)
	e.cut = e.cut || len(e.seen)%1000 == 0 && time.Now().After(e.until)
	if e.seen[h] || e.cut {
		return
	}
	e.seen[h] = true
	if w.finished() {
		e.ends++
	}
	next := w.choices(e.crashes, e.checkpoints)
	if len(next) == 0 && !w.finished() {
		e.t.Fatalf("nothing can happen after %v", e.path)
	}
	for i, c := range next {
		if i > 0 {
			w = e.replay()
		}
		w.choose(c)
		e.path = append(e.path, c)
		e.explore(w)
		e.path = e.path[:len(e.path)-1]
	}
}

// replay makes the world that the path leads to.
func (e *explorer) replay() *world {
	w := e.make()
	for _, c := range e.path {
		w.choose(c)
	}
	return w
}

// digest is the same for worlds that cannot be told apart from now on.
func digest(w *world) [16]byte {
	h := sha256.New()
	for _, p := range w.procs {
		put(h, reflect.ValueOf(*p))
	}
	put(h, reflect.ValueOf(w.net))
	put(h, reflect.ValueOf(w.looks))
	put(h, reflect.ValueOf(w.shadow))
	return [16]byte(h.Sum(nil))
}

// put writes a value with all that it points to.
func put(h hash.Hash, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			h.Write([]byte{1})
			put(h, v.Elem())
		}
		h.Write([]byte{2})
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "prog" && name != "cfg" && name != "out" {
				put(h, v.Field(i))
			}
		}
	case reflect.Slice, reflect.Array:
		putInt(h, uint64(v.Len()))
		for i := range v.Len() {
			put(h, v.Index(i))
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, byKey)
		putInt(h, uint64(len(keys)))
		for _, k := range keys {
			put(h, k)
			put(h, v.MapIndex(k))
		}
	case reflect.Bool:
		if v.Bool() {
			h.Write([]byte{1})
		} else {
			h.Write([]byte{0})
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		putInt(h, uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		putInt(h, v.Uint())
	case reflect.String:
		h.Write([]byte(v.String()))
	case reflect.Func:
	default:
		panic("a " + v.Kind().String() + " in a world")
	}
}

func byKey(a, b reflect.Value) int {
	if a.CanUint() {
		return cmp.Compare(a.Uint(), b.Uint())
	}
	return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b))
}

func putInt(h hash.Hash, i uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], i)
	h.Write(b[:])
}

// longest is how long all states of one case may take: an hour is for the greatest, and a
// loaded machine.
const longest = time.Hour

// All schedules of two nodes with two pages and one lock (DECISIONS: up to six
// operations a node), each with a crash of either node at each step.
func TestExhaustive(t *testing.T) {
	a, b := 0, 8 // a byte of each page
	end := []instr{op(Barrier, 0), read(a), read(b)}
	last := []instr{op(Barrier, 1)}
	cat := func(parts ...[]instr) []instr { return slices.Concat(parts...) }
	for _, tc := range []struct {
		name                 string
		p0, p1               []instr
		crashes, checkpoints int
		soak, shelves        bool
	}{
		{"a section each", cat(section(0, add(a, 1), add(b, 2)), end), cat(section(0, add(a, 4)), end), 0, 0, false, false},
		{"writes between sections, a crash", cat(section(0, add(a, 1)), []instr{write(b, 3)}, end), cat(section(0, add(a, 4)), end), 1, 0, false, false},
		{"a section each, shelves", cat(section(0, add(a, 1)), end), cat(section(0, add(a, 4)), end), 0, 0, false, true},
		{"a section each, shelves, a crash", cat(section(0, add(a, 1)), end), cat(section(0, add(a, 4)), end), 1, 0, true, true},
		{"a section each, checkpoints", cat(section(0, add(a, 1), add(b, 2)), end), cat(section(0, add(a, 4), add(b, 8)), end), 0, 1, true, false},
		{"a section each, a crash", cat(section(0, add(a, 1)), end), cat(section(0, add(a, 4), add(b, 8)), end), 1, 0, false, false},
		{"two sections, a crash", cat(section(0, add(a, 1)), section(0, add(b, 1)), end), cat(section(0, add(a, 4)), end), 1, 0, true, false},
		{"a section each, two crashes", cat(section(0, add(a, 1)), end), cat(section(0, add(a, 4)), end), 2, 0, true, false},
		{"a section each, a crash and checkpoints", cat(section(0, add(a, 1)), end), cat(section(0, add(a, 4)), end), 1, 1, true, false},
		{"six operations each, a crash", cat(section(0, add(a, 1)), []instr{write(b, 3)}, section(0, add(a, 2)), end, last), cat(section(0, add(a, 4)), section(0, add(a, 8)), end, last), 1, 0, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.soak && !soak {
				t.Skip("minutes: with LAZYSTATE_SOAK=1")
			}
			e := explorer{t: t, until: time.Now().Add(longest), crashes: tc.crashes, checkpoints: tc.checkpoints, seen: map[[16]byte]bool{}, make: func() *world {
				w := newWorld(Config{Nodes: 2, Pages: 2, PageSize: 8, Locks: 1, Shelves: tc.shelves}, 1, tc.p0, tc.p1)
				w.quiet, w.exact = true, true
				return w
			}}
			book := soaktest.New(t, record, 0, 1) // nothing is drawn
			e.explore(e.make())
			book.Runs++
			book.Add("states", len(e.seen))
			book.Add("of them ends", e.ends)
			if e.cut {
				t.Errorf("%d states, %d of them ends, and there are more: no time for them", len(e.seen), e.ends)
			}
		})
	}
}
