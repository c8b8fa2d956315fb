// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"

	"lazystate/dsm"
	"lazystate/dsm/logs"
)

// AppendState encodes a checkpoint.
func AppendState(b []byte, s *dsm.State, nodes, pageSize int) ([]byte, error) {
	start := len(b)
	c := &coder{b: append(b, 'd', 's', 'm', 'c', Version), nodes: nodes, pageSize: pageSize}
	c.state(s)
	if c.err != nil {
		return nil, fmt.Errorf("encode checkpoint %d: %w", s.Number, c.err)
	}
	return sum(c.b, start), nil
}

// ParseState decodes one, whole.
func ParseState(b []byte, nodes, pageSize int) (*dsm.State, error) {
	b, err := checked(b, "dsmc")
	if err != nil {
		return nil, fmt.Errorf("parse a checkpoint: %w", err)
	}
	s := &dsm.State{}
	c := &coder{b: b, decodes: true, nodes: nodes, pageSize: pageSize}
	c.state(s)
	if c.err == nil && len(c.b) > 0 {
		c.fail("%d bytes too many", len(c.b))
	}
	if c.err != nil {
		return nil, fmt.Errorf("parse checkpoint %d: %w", s.Number, c.err)
	}
	return s, nil
}

func (c *coder) state(s *dsm.State) {
	c.cluster()
	c.stamp(&s.Stamp)
	c.time(&s.V)
	list(c, &s.Pages, c.savedPage)
	list(c, &s.Held, func(l *dsm.SavedLock) {
		c.u32(&l.Lock)
		c.flags(&l.Have, &l.Held)
		c.u64(&l.Seq)
	})
	list(c, &s.Notices, c.notices)
	c.diffs(&s.Diffs)
	c.time(&s.Last)
	list(c, &s.Bars, c.barrier)
	c.u32(&s.Cond.Cond)
	c.u64(&s.Cond.Ordinal, &s.Cond.Woken)
	list(c, &s.Peers, func(p *dsm.SavedPeer) {
		c.stamp(&p.Ckp)
		c.u64(&p.Bound)
	})
	c.cut(&s.Cut)
	list(c, (*[]logs.Cut)(&s.Cuts), c.cut)
	c.diffs(&s.Ragged)
}

func (c *coder) savedPage(p *dsm.SavedPage) {
	there := p.Bytes != nil
	c.page(&p.Page)
	c.flags(&p.Homed, &there)
	c.node(&p.Home)
	c.maybeTime(&p.Need)
	c.maybeTime(&p.V)
	if there && c.err == nil {
		c.raw(&p.Bytes)
	}
}
