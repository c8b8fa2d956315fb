// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"lazystate/backdoor/bdtest"
	"lazystate/bench/soaktest"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/extract/extracttest"
	"lazystate/mtcp/tcprepair"
	"lazystate/tools/lab"
)

// recorder is the memory of a dead machine.
type recorder struct {
	bdtest.Recorder
	marks []int // areas that there were when each socket was there
}

// of are the areas of the i-th session: its socket's, its queues', its box's.
func (r *recorder) of(i int, boxes [][]uint64) []bdtest.Area {
	from := 0
	if i > 0 {
		from = r.marks[i-1] + len(boxes[i-1])
	}
	return r.Areas[from : r.marks[i]+len(boxes[i])]
}

// The memory of some sessions is full of nonsense: bits that are wrong, numbers
// from nowhere, pointers to anything. Whatever becomes of those, the others go on,
// and nothing is done twice or missing.
func TestRandomDamage(t *testing.T) {
	lost, damaged, runs := 0, 0, uint64(lab.Count(8, 400))
	book := soaktest.New(t, record, lab.Seed(), int(runs))
	for i := range runs {
		seed := (lab.Seed()-1)*runs + i
		rng := rand.New(rand.NewPCG(seed, 5))
		w := newWorld(t, "ipv4", adding)
		clients := w.busy(5, 5, 3)
		var memory *recorder
		w.dig = func(m *bdtest.Target) extracttest.Machine {
			memory = &recorder{Recorder: bdtest.Recorder{Target: m}}
			return memory
		}
		bad := map[string]bool{}
		var which []int
		w.die(func(i int, d *tcprepair.Dump, _ *extracttest.Sock) {
			memory.marks = append(memory.marks, len(memory.Areas))
			if i < 2 {
				bad[d.Remote.String()], which = true, append(which, i)
			}
		})
		for _, i := range which {
			damage(rng, memory, memory.of(i, w.grave.Boxes))
		}
		r := w.salvage()
		for _, a := range clients {
			o := outcome(t, r, a)
			switch {
			case bad[a.LocalAddr().String()]:
				if damaged++; o.Err != nil {
					lost++
				}
				_ = a.Close()
			case o.Err != nil:
				t.Errorf("seed %d: %v", seed, o.Err)
			default:
				a.rest()
				a.ask(5)
				a.rest()
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		book.Runs++
	}
	book.Add("damaged", damaged)
	book.Add("lost", lost)
}

// damage changes up to twenty words of the areas; hardly anything is in most of a box.
func damage(rng *rand.Rand, m *recorder, areas []bdtest.Area) {
	boxed := 0
	some := slices.DeleteFunc(slices.Clone(areas), func(a bdtest.Area) bool {
		if a.N == 4096 {
			boxed++
		}
		return a.N == 4096 && boxed > 4
	})
	for range 1 + rng.IntN(20) {
		a := some[rng.IntN(len(some))]
		at := a.VA + uint64(rng.IntN(max(1, a.N-7)))
		was := binary.LittleEndian.Uint64(m.Peek(at, 8))
		m.Poke64(at, []uint64{
			was ^ 1<<rng.IntN(64), rng.Uint64(), uint64(rng.IntN(1 << 16)), some[rng.IntN(len(some))].VA, was + 8, 0,
		}[rng.IntN(6)])
	}
}

// A snapshot in which a bit is wrong is never given to anybody, and the one before
// will not do: its log has gone (§3.6.4, §3.8).
func TestDamagedSnapshot(t *testing.T) {
	w := newWorld(t, "ipv4", adding)
	clients := make([]*adder, 4)
	for i := range clients {
		clients[i] = w.dial()
		clients[i].ask(3)
		clients[i].rest()
	}
	w.die(nil)
	rng, bad := rand.New(rand.NewPCG(1, 2)), map[int]bool{}
	for i, pages := range w.grave.Boxes[:2] {
		im, err := cbox.ReadImage(uint64(len(pages)*4096), func(exts []cbox.Extent) error {
			for _, e := range exts {
				copy(e.Buf, w.peek(pages, e.Off, len(e.Buf)))
			}
			return nil
		})
		w.must(err)
		p, s := im.Head.ProcTable[0], im.Snapshots[0]
		at := p.SnapOff + s.Seq%2*uint64(p.SnapLen) + uint64(rng.IntN(64+len(s.Data)))
		w.flip(pages, at, rng.IntN(8))
		bad[i] = true
	}
	r := w.salvage()
	if n := r.Saved(); n != 2 {
		t.Errorf("%d saved: %+v", n, r.Sessions)
	}
	for _, a := range clients {
		if o := outcome(t, r, a); (o.Err != nil) != bad[o.Entry] {
			t.Errorf("%d: %v", o.Entry, o.Err)
		} else if o.Err == nil {
			a.ask(5)
			a.rest()
		}
	}
}

// peek is a piece of a box.
func (w *world) peek(pages []uint64, off uint64, n int) []byte {
	var b []byte
	for _, p := range pages {
		b = append(b, w.machine.Peek(p, 4096)...)
	}
	return slices.Clone(b[off:][:n])
}

func (w *world) flip(pages []uint64, off uint64, bit int) {
	va := pages[off/4096] + off%4096
	w.machine.Poke(va, []byte{w.machine.Peek(va, 1)[0] ^ 1<<bit})
}
