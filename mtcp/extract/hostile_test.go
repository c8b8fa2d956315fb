// SPDX-License-Identifier: Apache-2.0

package extract

import (
	"encoding/binary"
	"errors"
	"testing"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/mtcp/extract/extracttest"
)

func manifestOf(t testing.TB, members map[string]backdoor.Member, values map[string]uint64) *backdoor.Manifest {
	t.Helper()
	target, err := backdoor.Open(t.Context(), bdtest.New(bdtest.WithManifest(members, values)).Memory())
	if err != nil {
		t.Fatal(err)
	}
	return target.Manifest()
}

// A manifest is a target's word: offsets that no compiler has laid out are
// refused before anybody reads by them.
func TestHostileManifest(t *testing.T) {
	for name, change := range map[string]func(m map[string]backdoor.Member, v map[string]uint64){
		"a socket of a megabyte": func(m map[string]backdoor.Member, _ map[string]uint64) {
			m["tcp_sock.rcv_nxt"] = backdoor.Member{Off: 1 << 20, Size: 4}
		},
		"a bit field outside its unit": func(_ map[string]backdoor.Member, v map[string]uint64) { v["tcp_sock.nonagle.shift"] = 1 << 40 },
		"a bit field of nothing":       func(_ map[string]backdoor.Member, v map[string]uint64) { v["tcp_sock.nonagle.width"] = 0 },
		"a frag of nothing":            func(m map[string]backdoor.Member, _ map[string]uint64) { m["skb_frag_t"] = backdoor.Member{} },
		"a frag outside itself": func(m map[string]backdoor.Member, _ map[string]uint64) {
			m["skb_frag_t.page"] = backdoor.Member{Off: 16, Size: 8}
		},
		"a page of nothing": func(_ map[string]backdoor.Member, v map[string]uint64) { v["sizeof_page"] = 0 },
		"a control block outside its cb": func(m map[string]backdoor.Member, _ map[string]uint64) {
			m["tcp_skb_cb.seq"] = backdoor.Member{Off: 46, Size: 4}
		},
	} {
		members, values := extracttest.Manifest("6.12")
		change(members, values)
		var bad *backdoor.CorruptError
		if _, err := newLayout(manifestOf(t, members, values)); !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// victim is a busy socket whose memory can be changed and put back.
type victim struct {
	m     *bdtest.Recorder
	x     *Extractor
	socks []uint64
	was   map[uint64]byte
}

func newVictim(t testing.TB, kernel string) *victim {
	members, values := extracttest.Manifest(kernel)
	m := &bdtest.Recorder{Target: bdtest.New(bdtest.WithRAM(8<<20), bdtest.WithManifest(members, values), bdtest.ByHand())}
	target, err := backdoor.Open(t.Context(), m.Memory())
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{m: m, was: map[uint64]byte{}}
	if v.x, err = New(target, Limits{Socket: 1 << 20, All: 3 << 20}); err != nil {
		t.Fatal(err)
	}
	k := extracttest.New(m, kernel, 7)
	for i := range 3 {
		s := k.Established(ends(i))
		busy(s)
		v.socks = append(v.socks, s.Addr)
	}
	return v
}

func (v *victim) poke(va uint64, b []byte) {
	for i, old := range v.m.Peek(va, len(b)) {
		if _, ok := v.was[va+uint64(i)]; !ok {
			v.was[va+uint64(i)] = old
		}
	}
	v.m.Poke(va, b)
}

func (v *victim) restore() {
	for va, b := range v.was {
		v.m.Poke(va, []byte{b})
	}
	clear(v.was)
}

// read extracts, and has nothing come out that is not sound.
func (v *victim) read(t testing.TB) {
	found, err := v.x.Extract(t.Context(), v.socks)
	if err != nil {
		t.Fatal(err) // the carrier is in order
	}
	for i := range found {
		f := &found[i]
		var l *LostError
		if f.Err != nil && !errors.As(f.Err, &l) {
			t.Fatalf("not a reason: %v", f.Err)
		}
		if f.Err != nil {
			continue
		}
		if err := f.Dump.Check(); err != nil {
			t.Fatal(err)
		}
		if len(f.Dump.In)+len(f.Dump.Out) > 2<<20 {
			t.Fatalf("%d and %d bytes", len(f.Dump.In), len(f.Dump.Out))
		}
		first, _ := f.Firsts()
		f.Positions(first)
	}
}

// Every word of every structure is replaced by what hurts most.
func TestHostileWords(t *testing.T) {
	for _, kernel := range kernels {
		v := newVictim(t, kernel)
		words := []uint64{0, 1, ^uint64(0), 0xdead000000000100, v.socks[0], v.m.Areas[len(v.m.Areas)-1].VA, 1 << 31, 0xffffea0000000000 | 1}
		for _, a := range v.m.Areas {
			if a.N == 4096 {
				continue // bytes of a queue
			}
			for off := 0; off+8 <= min(a.N, 2400); off += 8 {
				w := words[(off/8+int(a.VA>>6))%len(words)]
				v.poke(a.VA+uint64(off), binary.LittleEndian.AppendUint64(nil, w))
				v.read(t)
				v.restore()
			}
		}
	}
}

// A list that goes round, in each of the queues and through all of them.
func TestListsThatGoRound(t *testing.T) {
	v := newVictim(t, "6.12")
	for _, a := range v.m.Areas {
		if a.N != int(v.m.Offset("sk_buff")) {
			continue
		}
		for off := uint64(0); off < 24; off += 8 {
			v.poke(a.VA+off, binary.LittleEndian.AppendUint64(nil, a.VA))
		}
	}
	v.read(t)
	v.restore()
	v.read(t)
}

// FuzzExtract changes memory anywhere: {area u16, offset u16, word u64} each.
func FuzzExtract(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Add([]byte{1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255})
	victims := []*victim{newVictim(f, "6.1"), newVictim(f, "6.12")}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range victims {
			for p := b; len(p) >= 12; p = p[12:] {
				a := v.m.Areas[int(binary.LittleEndian.Uint16(p))%len(v.m.Areas)]
				off := int(binary.LittleEndian.Uint16(p[2:])) % (a.N - 7)
				v.poke(a.VA+uint64(off), p[4:12])
			}
			v.read(t)
			v.restore()
		}
	})
}
