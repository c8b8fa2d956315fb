// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/bench/soaktest"
	"lazystate/internal/netrig"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/extract/extracttest"
	"lazystate/mtcp/keeper"
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
		im := w.image(pages)
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

// The machine has stopped in the midst of an export, whichever of the buffers that was
// into: its number was taken from it before the first byte was written, and it is not
// looked at, whatever it has become since (§3.6.4). The session goes on from the other.
func TestTornExport(t *testing.T) {
	w := newWorld(t, "ipv4", adding)
	clients := make([]*adder, 12)
	for i := range clients {
		clients[i] = w.dial()
		for range 3 + i%2 { // an export each
			clients[i].ask(1)
			clients[i].rest()
		}
	}
	w.die(nil)
	rng, torn := rand.New(rand.NewPCG(1, 3)), [2]int{}
	for _, pages := range w.grave.Boxes {
		im := w.image(pages)
		s := im.Snapshots[0]
		next := (s.Seq + 1) % 2
		w.tear(pages, &im.Head.ProcTable[0], s, torn[next]%3, rng)
		torn[next]++
	}
	if torn[0] == 0 || torn[1] == 0 {
		t.Fatalf("torn: %v", torn)
	}
	r := w.salvage()
	for _, a := range clients {
		if o := outcome(t, r, a); o.Err != nil {
			t.Error(o.Err)
			continue
		}
		a.ask(5)
		a.rest()
	}
}

// What bulk exports is told from a mixture of two exports of its, which frozenAtRandom
// looks for.
func TestMixedExportShows(t *testing.T) {
	w := newWorld(t, "ipv4", process{"bulk", func(s *server, c *keeper.Client) error { return s.serve(c, bulk) }})
	c := w.dial()
	const sent = 8<<10 + 1
	for off := uint64(0); off < sent; off += sent / 3 { // an export each
		b := make([]byte, sent/3)
		netrig.Fill(b, upStream, off)
		_, err := c.Write(b)
		w.must(err)
		time.Sleep(20 * time.Millisecond)
	}
	w.die(nil)
	im := w.image(w.grave.Boxes[0])
	if err := exported(im); err != nil || im.Root().LSR != sent {
		t.Fatalf("read %d: %v", im.Root().LSR, err)
	}
	netrig.Fill(im.Snapshots[0].Data[bulkState/2:], stateStream, sent/3*2+bulkState/2)
	if err := exported(im); err == nil {
		t.Error("the half of the export before is taken for it")
	}
}

// tear leaves of the next export what it has stored at a moment: some of its state, all of
// it and its number, or everything but the word that makes it count.
func (w *world) tear(pages []uint64, p *uapi.CboxProc, last *cbox.Snapshot, step int, rng *rand.Rand) {
	const size = uapi.CboxSnapSize
	buffer := func(seq uint64) uint64 { return p.SnapOff + seq%2*uint64(p.SnapLen) }
	b := w.peek(pages, buffer(last.Seq), size+len(last.Data))
	n := len(b)
	clear(b[:8])
	binary.LittleEndian.PutUint64(b[uapi.CboxSnapNumberOff:], last.Seq+1)
	for i := range b[size:] {
		b[size+i] = byte(rng.Uint32())
	}
	for _, stored := range [][][2]int{
		{{0, 8}, {size, (size + n) / 2}},
		{{0, 8}, {size, n}, {uapi.CboxSnapLenOff, uapi.CboxSnapOrderOff}},
		{{0, n}},
	}[step] {
		w.poke(pages, buffer(last.Seq+1)+uint64(stored[0]), b[stored[0]:stored[1]])
	}
}

// image is what there is of a box.
func (w *world) image(pages []uint64) *cbox.Image {
	w.t.Helper()
	im, err := cbox.ReadImage(uint64(len(pages)*4096), func(exts []cbox.Extent) error {
		for _, e := range exts {
			copy(e.Buf, w.peek(pages, e.Off, len(e.Buf)))
		}
		return nil
	})
	w.must(err)
	return im
}

// peek is a piece of a box.
func (w *world) peek(pages []uint64, off uint64, n int) []byte {
	var b []byte
	for _, p := range pages {
		b = append(b, w.machine.Peek(p, 4096)...)
	}
	return slices.Clone(b[off:][:n])
}

func (w *world) poke(pages []uint64, off uint64, b []byte) {
	for i := range b {
		at := off + uint64(i)
		w.machine.Poke(pages[at/4096]+at%4096, b[i:i+1])
	}
}

func (w *world) flip(pages []uint64, off uint64, bit int) {
	w.poke(pages, off, []byte{w.peek(pages, off, 1)[0] ^ 1<<bit})
}
