// SPDX-License-Identifier: Apache-2.0

package verbstest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"lazystate/verbs"
)

func testAttr(t *testing.T, b *bench) {
	for _, d := range []*verbs.Device{b.a, b.b} {
		attr := d.Attr()
		if attr.Name == "" || attr.Provider == "" || attr.MaxQP < 1 || attr.MaxQPWR < 1 || attr.MaxSGE < 1 || attr.MaxCQE < 1 {
			t.Errorf("attributes of nobody: %+v", attr)
		}
		p := must(d.Port(1))(t)
		if p.ActiveMTU.Bytes() == 0 || p.MaxMTU < p.ActiveMTU || p.Num != 1 {
			t.Errorf("port of nobody: %+v", p.PortAttr)
		}
		gids := must(p.GIDs())(t)
		if len(gids) == 0 || gids[0].GID == (verbs.GID{}) {
			t.Errorf("gids of nobody: %v", gids)
		}
		if _, err := d.Port(attr.Ports + 1); err == nil {
			t.Error("there is a port too many")
		}
	}
}

// mtu returns what a connection of the two has.
func (b *bench) mtu(t *testing.T) verbs.MTU {
	t.Helper()
	x, y := must(b.a.Port(1))(t), must(b.b.Port(1))(t)
	return min(x.ActiveMTU, y.ActiveMTU)
}

// around returns the sizes on both sides of each multiple of the MTU that
// matters, up to most.
func around(mtu, most int) []int {
	sizes := []int{0, 1, 2, 3, 4, 5, 63, 64}
	for _, k := range []int{1, 2, 3, 4, 7, 8, 16, 17, 63, 64, 128} {
		sizes = append(sizes, k*mtu-1, k*mtu, k*mtu+1)
	}
	sizes = append(sizes, most-1, most)
	slices.Sort(sizes)
	return slices.DeleteFunc(slices.Compact(sizes), func(n int) bool { return n > most })
}

// sample keeps the ends of sizes and a quarter of what is between, if only a
// sample is wanted.
func (b *bench) sample(sizes []int) []int {
	if b.Sample == 0 {
		return sizes
	}
	draw := rand.New(rand.NewPCG(b.Sample, uint64(len(sizes))))
	most := sizes[len(sizes)-1]
	return slices.DeleteFunc(sizes, func(n int) bool { return n > 0 && n < most && draw.IntN(4) != 0 })
}

// testSizes moves messages of every size that a packet boundary can get wrong,
// with every operation that moves bytes.
func testSizes(t *testing.T, b *bench) {
	most := b.maxSize(t)
	active := b.mtu(t)
	for _, c := range []struct {
		mtu  verbs.MTU
		most int
	}{{verbs.MTU256, 64 << 10}, {verbs.MTU1024, 1 << 20}, {active, most}} {
		if c.mtu > active {
			continue
		}
		sizes := b.sample(around(c.mtu.Bytes(), min(c.most, most)))
		t.Run(fmt.Sprintf("mtu%v", c.mtu), func(t *testing.T) {
			x, y := b.ends(t, config{memory: slices.Max(sizes) + 3*guard, mtu: c.mtu})
			for i, n := range sizes {
				for _, op := range []verbs.Opcode{
					verbs.OpSend, verbs.OpSendWithImm, verbs.OpRDMAWrite, verbs.OpRDMAWriteWithImm, verbs.OpRDMARead,
				} {
					move(t, x, y, op, n, guard+i%4, 10*i+int(op))
				}
			}
		})
	}
}

// guard is how many bytes around a message must stay as they are.
const guard = 64

// move moves n bytes at off with op and looks at them and at what is around.
func move(t *testing.T, x, y *end, op verbs.Opcode, n, off, seed int) {
	t.Helper()
	from, to := x.mr.Bytes()[:off+n+guard], y.mr.Bytes()[:off+n+guard]
	fill(from, seed)
	fill(to, seed+1)
	if op == verbs.OpRDMARead {
		from, to = to, from
	}
	want := bytes.Clone(to)
	copy(want[off:off+n], from[off:])

	consumes := op == verbs.OpSend || op == verbs.OpSendWithImm || op == verbs.OpRDMAWriteWithImm
	if consumes {
		y.recv(uint64(seed), off, n)
	}
	wr := x.request(op, off, n, y, off)
	wr.ID, wr.Imm = uint64(seed)+7, uint32(seed)<<16|0xabcd
	x.send(wr)
	if wc := x.ok(1)[0]; wc.ID != wr.ID || wc.QPNum != x.qp.Num() {
		t.Fatalf("%v of %d bytes: completion %+v", op, n, wc)
	}
	if consumes {
		checkReceived(t, y, &wr, uint64(seed), n)
	}
	if i := differ(to, want); i >= 0 {
		t.Fatalf("%v of %d bytes at %d: byte %d is %#x, want %#x", op, n, off, i, to[i], want[i])
	}
}

func checkReceived(t *testing.T, y *end, wr *verbs.SendWR, id uint64, n int) {
	t.Helper()
	wc := y.ok(1)[0]
	op := verbs.WCRecv
	if wr.Op == verbs.OpRDMAWriteWithImm {
		op = verbs.WCRecvRDMAWithImm
	}
	imm := wr.Op == verbs.OpSendWithImm || wr.Op == verbs.OpRDMAWriteWithImm
	if wc.ID != id || wc.Op != op || wc.ByteLen != uint32(n) || wc.QPNum != y.qp.Num() {
		t.Fatalf("%v of %d bytes: received %+v", wr.Op, n, wc)
	}
	if got := wc.Flags&verbs.WCWithImm != 0; got != imm || imm && wc.Imm != wr.Imm {
		t.Fatalf("%v: immediate data %v %#x, want %v %#x", wr.Op, got, wc.Imm, imm, wr.Imm)
	}
}

// differ returns the first index at which a and b differ; -1 if none.
func differ(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return len(a)
}

// testInline sends payload that was in the request, and may be changed after
// the post.
func testInline(t *testing.T, b *bench) {
	most := min(b.a.Attr().MaxInline, 256)
	if most == 0 {
		t.Skipf("%v has no inline sends", b.a)
	}
	x, y := b.ends(t, config{inline: most})
	most = x.qp.Cap().MaxInline
	for i, n := range []int{0, 1, 31, most - 1, most} {
		for _, op := range []verbs.Opcode{verbs.OpSend, verbs.OpRDMAWrite, verbs.OpRDMAWriteWithImm} {
			payload := make([]byte, n)
			fill(payload, i)
			want := bytes.Clone(payload)
			if op != verbs.OpRDMAWrite {
				y.recv(1, 128, n)
			}
			wr := x.request(op, 0, 0, y, 128)
			wr.Flags |= verbs.SendInline
			wr.Inline = payload
			x.send(wr)
			clear(payload)
			x.ok(1)
			if op != verbs.OpRDMAWrite {
				y.ok(1)
			}
			if got := y.mr.Bytes()[128 : 128+n]; !bytes.Equal(got, want) {
				t.Errorf("%v of %d bytes inline: %x, want %x", op, n, got, want)
			}
		}
	}
	wr := x.request(verbs.OpSend, 0, 0, y, 0)
	wr.Flags |= verbs.SendInline
	wr.Inline = make([]byte, most+1)
	if n, err := x.qp.PostSend(wr); n != 0 || err == nil {
		t.Errorf("%d bytes inline of at most %d: posted %d, %v", most+1, most, n, err)
	}
}

// testPieces gathers and scatters.
func testPieces(t *testing.T, b *bench) {
	x, y := b.ends(t, config{sge: 4, memory: 256 << 10})
	mtu := b.mtu(t).Bytes()
	pieces := [][3]int{{1, 2, 3}, {0, 5, 0}, {mtu - 1, 2, mtu - 1}, {mtu, mtu, mtu}, {3 * mtu, 1, mtu + 3}, {7, 3 * mtu, 0}}
	for i, p := range pieces {
		for _, op := range []verbs.Opcode{verbs.OpSend, verbs.OpRDMAWrite, verbs.OpRDMARead} {
			fill(x.mr.Bytes(), i)
			fill(y.mr.Bytes(), i+100)
			var sg []verbs.SGE
			var joined []byte
			off := 11
			for _, n := range p {
				sg = append(sg, x.mr.SGE(off, n))
				joined = append(joined, x.mr.Bytes()[off:off+n]...)
				off += n + 5
			}
			wr := verbs.SendWR{Op: op, Flags: verbs.SendSignaled, SG: sg}
			if op == verbs.OpSend {
				k := len(joined) / 2
				rwr := verbs.RecvWR{SG: []verbs.SGE{y.mr.SGE(3, k), y.mr.SGE(3+k, len(joined)-k+10)}}
				must(y.qp.PostRecv(rwr))(t)
			} else {
				wr.RemoteAddr, wr.RKey = y.mr.Addr()+3, y.mr.RKey()
			}
			x.send(wr)
			x.ok(1)
			if op == verbs.OpSend {
				y.ok(1)
			}
			if op == verbs.OpRDMARead {
				joined = joined[:0]
				off = 11
				for _, n := range p {
					joined = append(joined, x.mr.Bytes()[off:off+n]...)
					off += n + 5
				}
			}
			if got := y.mr.Bytes()[3 : 3+len(joined)]; !bytes.Equal(got, joined) {
				t.Errorf("%v of pieces %v differs at byte %d", op, p, differ(got, joined))
			}
		}
	}
}

// testAddresses registers memory under other addresses than its own.
func testAddresses(t *testing.T, b *bench) {
	x, y := b.ends(t, config{})
	mem := must(b.b.Driver().Alloc(8192))(t)
	t.Cleanup(func() {
		if err := b.b.Driver().Free(mem); err != nil {
			t.Error(err)
		}
	})
	for _, c := range []struct {
		name string
		iova uint64
		a    verbs.Access
		want uint64
	}{
		{"iova", 0x7000_0000_1000, verbs.AccessAll, 0x7000_0000_1000},
		{"zero based", 0, verbs.AccessAll | verbs.AccessZeroBased, 0},
		{"end of all addresses", 1<<64 - 8192, verbs.AccessAll, 1<<64 - 8192},
	} {
		t.Run(c.name, func(t *testing.T) {
			mr, err := y.pd.RegMemory(mem, c.iova, c.a)
			if err != nil {
				t.Skipf("%v does not register at %#x: %v", b.b, c.iova, err)
			}
			defer closeAll(t, mr)
			if mr.Addr() != c.want || mr.Len() != 8192 {
				t.Fatalf("registered at %#x, %d bytes", mr.Addr(), mr.Len())
			}
			fill(mem.Bytes, 1)
			wr := verbs.SendWR{
				Op: verbs.OpRDMARead, Flags: verbs.SendSignaled, SG: []verbs.SGE{x.mr.SGE(0, 92)},
				RemoteAddr: mr.Addr() + 8100, RKey: mr.RKey(),
			}
			x.send(wr)
			x.ok(1)
			if !bytes.Equal(x.mr.Bytes()[:92], mem.Bytes[8100:]) {
				t.Error("other bytes than those at the address")
			}
		})
	}
}
