// SPDX-License-Identifier: Apache-2.0

package web

import (
	"encoding/binary"
	"fmt"
	"time"
)

// state is what a snapshot says of a connection.
type state struct {
	date   time.Time // when the request came; zero: none has
	held   bool      // its response is held until it is complete
	done   uint64    // bytes of the response that TCP has been given
	values [][]byte  // what Once has returned
	input  []byte    // what was read since the request began
}

const (
	version   = 1
	mostOnce  = 1000    // values of a request
	mostInput = 1 << 24 // more than any snapshot has room for
)

func (s *state) encode() []byte {
	b := make([]byte, 0, 64+len(s.input))
	b = append(b, version, 0)
	if s.held {
		b[1] = 1
	}
	var at int64
	if !s.date.IsZero() {
		at = s.date.UnixNano()
	}
	b = binary.AppendVarint(b, at)
	b = binary.AppendUvarint(b, s.done)
	b = binary.AppendUvarint(b, uint64(len(s.values)))
	for _, v := range s.values {
		b = append(binary.AppendUvarint(b, uint64(len(v))), v...)
	}
	return append(binary.AppendUvarint(b, uint64(len(s.input))), s.input...)
}

// decode reads a snapshot, which another process has made.
func decode(b []byte) (*state, error) {
	d := decoder{rest: b}
	if v := d.bytes(2); d.bad || v[0] != version || v[1] > 1 {
		return nil, fmt.Errorf("snapshot of a web session: not one of version %d", version)
	}
	s := &state{held: b[1] == 1}
	at, n := binary.Varint(d.rest)
	d.skip(n)
	if at != 0 {
		s.date = time.Unix(0, at)
	}
	s.done = d.uvarint()
	count := d.uvarint()
	for i := uint64(0); i < count && !d.bad; i++ {
		s.values = append(s.values, d.bytes(d.uvarint()))
	}
	s.input = d.bytes(d.uvarint())
	if d.bad || count > mostOnce || len(d.rest) > 0 {
		return nil, fmt.Errorf("snapshot of a web session: %d bytes that make no sense", len(b))
	}
	return s, nil
}

// decoder takes b apart; bad once it was too short.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) skip(n int) {
	if n <= 0 || n > len(d.rest) {
		d.bad, d.rest = true, nil
		return
	}
	d.rest = d.rest[n:]
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	d.skip(n)
	return v
}

func (d *decoder) bytes(n uint64) []byte {
	if d.bad || n > uint64(len(d.rest)) || n > mostInput {
		d.bad = true
		return nil
	}
	b := append([]byte{}, d.rest[:n]...)
	d.rest = d.rest[n:]
	return b
}
