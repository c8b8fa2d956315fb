// SPDX-License-Identifier: Apache-2.0

package verbstest

import (
	"embed"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"lazystate/verbs"
)

//go:embed testdata
var testdata embed.FS

// testRefusals runs testdata/refusals: each case is one operation over a
// connection of its own, and the states that it must leave behind.
func testRefusals(t *testing.T, b *bench) {
	for _, name := range []string{"refusals"} {
		text, err := testdata.ReadFile(path.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		datadriven.RunTestFromString(t, string(text), func(t *testing.T, d *datadriven.TestData) string {
			var c refusal
			c.parse(t, d)
			got := c.run(t, b)
			if slices.Contains(b.Otherwise[line(d)], got) {
				return d.Expected
			}
			return got
		})
	}
}

// refusal is a case: an operation and what is wrong with it.
type refusal struct {
	op               verbs.Opcode
	access, qp       string // of b's memory and queue pair
	local            string // of a's memory
	off, length      int    // into b's memory of 64 KiB
	addr             string // instead: "below", "wrap", "zero"
	rkey, lkey, recv string
	piece            int // bytes of the local piece; -1: length
}

func (c *refusal) parse(t *testing.T, d *datadriven.TestData) {
	c.access, c.qp, c.local, c.length, c.recv, c.piece = "lwra", "wra", "lwra", 64, "", -1
	c.op = opcode(t, d.Cmd)
	d.MaybeScanArgs(t, "access", &c.access)
	d.MaybeScanArgs(t, "qp", &c.qp)
	d.MaybeScanArgs(t, "local", &c.local)
	d.MaybeScanArgs(t, "off", &c.off)
	d.MaybeScanArgs(t, "len", &c.length)
	d.MaybeScanArgs(t, "addr", &c.addr)
	d.MaybeScanArgs(t, "rkey", &c.rkey)
	d.MaybeScanArgs(t, "lkey", &c.lkey)
	d.MaybeScanArgs(t, "recv", &c.recv)
	d.MaybeScanArgs(t, "piece", &c.piece)
	if c.piece < 0 {
		c.piece = c.length
	}
}

func opcode(t *testing.T, name string) verbs.Opcode {
	t.Helper()
	for op := verbs.OpRDMAWrite; op <= verbs.OpSendWithInv; op++ {
		if strings.ToLower(op.String()) == name {
			return op
		}
	}
	t.Fatalf("no operation %q", name)
	return 0
}

// access: l local write, w remote write, r remote read, a remote atomic.
func access(s string) verbs.Access {
	var a verbs.Access
	for _, c := range s {
		switch c {
		case 'l':
			a |= verbs.AccessLocalWrite
		case 'w':
			a |= verbs.AccessRemoteWrite
		case 'r':
			a |= verbs.AccessRemoteRead
		case 'a':
			a |= verbs.AccessRemoteAtomic
		}
	}
	return a
}

// run returns the status at a, what b received, and the state of a's queue pair.
func (c *refusal) run(t *testing.T, b *bench) string {
	if atomicOp(c.op) && b.b.Attr().Atomics == verbs.AtomicNone {
		t.Skipf("%v has no atomics", b.b)
	}
	cfg := config{memory: 64 << 10, qp: access(c.qp)}
	cfg.defaults()
	cfg.access = access(c.access)
	x := b.newEnd(t, b.a, cfg, access(c.local))
	y := b.newEnd(t, b.b, cfg, cfg.access)
	x.connect(y, cfg)
	fill(y.mr.Bytes(), 5)
	before := string(y.mr.Bytes())
	if n, err := x.qp.PostSend(c.request(t, x, y)); n == 0 && errors.Is(err, verbs.ErrInvalid) {
		return "a: refused by the post\n"
	} else if err != nil {
		t.Fatalf("posted %d of 1: %v", n, err)
	}
	wc := x.wait(1)[0]
	out := fmt.Sprintf("a: %v\n", wc.Status)
	if c.qp != "wra" && (wc.Status == verbs.WCRemInvReqErr || wc.Status == verbs.WCRemAccessErr) {
		out = "a: refused by the queue pair\n" // devices differ in which of the two
	}
	if c.recv != "" {
		wcs := y.wait(1)
		out += fmt.Sprintf("b: %v\n", wcs[0].Status)
	}
	if wc.Status != verbs.WCSuccess {
		out += fmt.Sprintf("a's qp: %v\n", must(x.qp.State())(t))
		if c.recv == "" && string(y.mr.Bytes()) != before {
			out += "b's memory has changed\n"
		}
	}
	return out
}

// line returns a case's first line as it stands in the file.
func line(d *datadriven.TestData) string {
	s := d.Cmd
	for _, a := range d.CmdArgs {
		s += " " + a.String()
	}
	return s
}

func atomicOp(op verbs.Opcode) bool {
	return op == verbs.OpAtomicCmpAndSwp || op == verbs.OpAtomicFetchAndAdd
}

func (c *refusal) request(t *testing.T, x, y *end) verbs.SendWR {
	wr := x.request(c.op, 0, c.piece, y, c.off)
	switch c.addr {
	case "below":
		wr.RemoteAddr = y.mr.Addr() - 1
	case "wrap":
		wr.RemoteAddr = 1<<64 - 8
	case "zero":
		wr.RemoteAddr = 0
	}
	wr.RKey = c.key(t, c.rkey, wr.RKey, y)
	if len(wr.SG) > 0 {
		wr.SG[0].LKey = c.key(t, c.lkey, wr.SG[0].LKey, x)
		if c.lkey == "beyond" {
			wr.SG[0].Addr = x.mr.Addr() + x.mr.Len() - 1
		}
	}
	if c.recv != "" {
		r := verbs.RecvWR{SG: []verbs.SGE{y.mr.SGE(0, 64)}}
		switch c.recv {
		case "short":
			r.SG[0].Length = uint32(c.length - 1)
		case "bad":
			r.SG[0].LKey ^= 0x5a5a5a00
		}
		must(y.qp.PostRecv(r))(t)
	}
	return wr
}

// key returns k, or one that does not open e's memory.
func (c *refusal) key(t *testing.T, how string, k uint32, e *end) uint32 {
	switch how {
	case "wrong":
		return k ^ 0x5a5a5a00
	case "closed":
		mr := must(e.pd.AllocMR(4096, verbs.AccessAll))(t)
		closeAll(t, mr)
		return mr.RKey()
	case "pd": // of another protection domain
		pd := must(e.dev.AllocPD())(t)
		mr, err := pd.RegMemory(e.mr.Memory(), e.mr.Addr(), verbs.AccessAll)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeAll(t, mr, pd) })
		return mr.RKey()
	}
	return k
}
