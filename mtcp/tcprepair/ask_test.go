// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"testing"

	"lazystate/internal/seqnum"
	"lazystate/mtcp"
	"lazystate/mtcp/wire"
)

// What a peer says is believed only if it can be.
func TestAnswers(t *testing.T) {
	block := func(left, right seqnum.Value) []byte {
		b := []byte{1, 1, optBlocks, 10, 0, 0, 0, 0, 0, 0, 0, 0}
		for i := range 4 {
			b[4+i], b[8+i] = byte(left>>(24-8*i)), byte(right>>(24-8*i))
		}
		return b
	}
	for _, s := range movable {
		d, _, _ := inState(s)
		una, nxt := d.Una, d.Nxt
		for _, next := range []seqnum.Value{una - 1, nxt + 1} {
			if d.has(next) {
				t.Errorf("%s: %d is believed, una %d, nxt %d", s, next, una, nxt)
			}
		}
		if !d.has(nxt) {
			t.Errorf("%s: everything is not believed", s)
		}
		if err := d.Check(); err != nil || d.sent() != 0 {
			t.Errorf("%s: %v, %d sent", s, err, d.sent())
		}
	}
	d, _, _ := inState(mtcp.Established)
	d.Nxt = d.Una + 30
	q, asked := &question{dump: d}, *d
	for i, c := range []struct {
		ack     seqnum.Value
		options []byte
		round   int
		want    bool
	}{
		{d.Una, nil, 1, false},
		{d.Una, nil, 1, false},                                              // of the same round: may have been under way
		{d.Una + 10, nil, 2, false},                                         // another: it was
		{d.Una + 10, block(d.Una+20, d.Una+30), 2, false},                   // an ordinary block
		{d.Una + 10, nil, 3, true},                                          // twice the same
		{d.Una + 20, block(d.Una-1, d.Una), 3, true},                        // names the byte
		{d.Una + 21, block(d.Una-1, d.Una)[:11], 3, false},                  // cut off
		{d.Una + 22, []byte{optBlocks}, 3, false},                           // likewise
		{d.Una + 23, append([]byte{8, 0}, 1, 2), 3, false},                  // an option of length 0
		{d.Una + 24, append([]byte{0}, block(d.Una-1, d.Una)...), 3, false}, // behind the end
	} {
		*d = asked
		if got, err := q.hear(&heard{ack: c.ack, options: c.options}, c.round); got != c.want || err != nil {
			t.Errorf("case %d: %v, %v", i, got, err)
		}
	}
}

// A peer that has more than was ever sent has spoken with somebody else since, and
// one that answers with a RST has ended. Neither's session is of use any more. A RST
// with another number may be anybody's.
func TestAnswersThatEndASession(t *testing.T) {
	for name, c := range map[string]struct {
		said  func(d *Dump) heard
		final bool
		want  error
	}{
		"ahead":        {func(d *Dump) heard { return heard{ack: d.Nxt + 1} }, true, ErrAhead},
		"far ahead":    {func(d *Dump) heard { return heard{ack: d.Nxt + 1<<20} }, true, ErrAhead},
		"behind":       {func(d *Dump) heard { return heard{ack: d.Una - 1} }, false, nil},
		"gone":         {func(d *Dump) heard { return heard{rst: true, seq: d.RcvNxt} }, true, ErrGone},
		"a stranger's": {func(d *Dump) heard { return heard{rst: true, seq: d.RcvNxt + 1} }, false, nil},
	} {
		d, _, _ := inState(mtcp.Established)
		q, said := &question{dump: d}, c.said(d)
		_, _ = q.hear(&said, 1)
		final, err := q.hear(&said, 2) // twice the same
		if final != c.final || final && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v", name, final, err)
		}
	}
}

func FuzzAcknowledgement(f *testing.F) {
	for _, d := range []*Dump{sample(mtcp.Established)} {
		seg, err := d.probe()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seg)
	}
	f.Add([]byte{0x60, 39: 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, ok := segmentOf(b)
		if !ok {
			return
		}
		if s, err := wire.ParseSegment(b); err == nil {
			if s.Src != h.ends.peer || s.Dst != h.ends.own || s.Seq != h.seq || s.Ack != h.ack || s.Flags&wire.RST != 0 != h.rst || string(s.Options) != string(h.options) {
				t.Errorf("%+v, but %+v", s, h)
			}
		}
		names(h.options, h.ack)
	})
}
