// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"

	"lazystate/mtcp/party"
)

// inbox takes the parts of a state reply together. Until State has been heard
// it is the link's goroutine's, then that of the move.
type inbox struct {
	m      *Mover
	states []*State
	place  []byte // what State said
	bytes  int64  // under Mover.mu, as gone
	gone   bool
}

// open is what a move hears of a frame; 0 is nothing yet.
func (b *inbox) open(f frame) party.Event {
	kind := between[f.kind]
	switch {
	case b.place != nil && (f.kind == part || kind == party.State):
		return party.Event{Kind: party.Abort, Why: "a second state reply"}
	case f.kind == part:
		if err := b.part(f.body); err != nil {
			return party.Event{Kind: party.Abort, Why: err.Error()}
		}
		return party.Event{}
	case kind == party.State:
		b.place = append([]byte{}, f.body...)
	}
	return party.Event{Kind: kind, Why: why(f)}
}

func (b *inbox) part(body []byte) error {
	m, n := b.m, int64(len(body))
	m.mu.Lock()
	full := b.gone || m.bytes+n > m.cfg.Most
	if !full {
		m.bytes += n
		b.bytes += n
	}
	m.mu.Unlock()
	if full {
		return errors.New("no room for so much state")
	}
	s, err := ParseState(body)
	if err == nil {
		b.states = append(b.states, s)
	}
	return err
}

// left gives the room back.
func (b *inbox) left() {
	b.m.bytes -= b.bytes
	b.gone = true
}
