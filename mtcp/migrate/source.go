// SPDX-License-Identifier: Apache-2.0

package migrate

import "lazystate/mtcp/party"

// source is what all moves have of which this server is S1.
type source struct {
	*runner
	m    *Mover
	id   ID
	link link
}

func (s *source) on() link { return s.link }
func (s *source) left()    {}

func (s *source) heard(f frame) {
	if f.kind != part {
		s.tell(s.m.ctx, party.Event{Kind: between[f.kind], Why: why(f)})
	}
}

// post sends S2 what a move is at.
func (s *source) post(k party.Kind, body []byte) error {
	return s.m.mesh.send(s.link, frame{kindOf(k), s.id, body})
}
