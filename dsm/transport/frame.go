// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// kind of a frame.
type kind uint8

const (
	kindMessage kind = 1 + iota
	kindBeat         // nothing but the ack
	kindBye          // the last: the sender ends, and why
)

func (k kind) String() string {
	switch k {
	case kindMessage:
		return "message"
	case kindBeat:
		return "beat"
	case kindBye:
		return "bye"
	}
	return fmt.Sprintf("frame of kind %d", uint8(k))
}

// headSize is what comes before a frame's body.
const headSize = 20

// mostMessage is the longest message: a recovery brings all logs in one, and the end of
// an interval all that was written of one home's pages.
const mostMessage = 1<<31 - 1

// mostBye is the longest reason.
const mostBye = 512

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type head struct {
	length uint32
	kind   kind
	ack    uint64
}

func (h head) put(b []byte) {
	binary.LittleEndian.PutUint32(b, h.length)
	binary.LittleEndian.PutUint32(b[4:], uint32(h.kind))
	binary.LittleEndian.PutUint64(b[8:], h.ack)
	binary.LittleEndian.PutUint32(b[16:], crc32.Checksum(b[:16], castagnoli))
}

func parseHead(b []byte) (head, error) {
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
	if sum := crc32.Checksum(b[:16], castagnoli); sum != word(4) {
		return head{}, nonsense("a frame's head with checksum %08x, not %08x", word(4), sum)
	}
	h := head{length: word(0), kind: kind(word(1)), ack: binary.LittleEndian.Uint64(b[8:])}
	most := uint32(0)
	switch {
	case word(1) > 255:
		return head{}, nonsense("frame of kind %d", word(1))
	case h.kind == kindMessage:
		most = mostMessage
	case h.kind == kindBye:
		most = mostBye
	case h.kind != kindBeat:
		return head{}, nonsense("%v", h.kind)
	}
	if h.length > most {
		return head{}, nonsense("%v of %d bytes, at most %d", h.kind, h.length, most)
	}
	return h, nil
}

// errNonsense is what a node does not say.
var errNonsense = errors.New("nonsense")

func nonsense(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errNonsense, fmt.Sprintf(format, args...))
}

// step is how much of a long frame is believed in before it has come.
const step = 1 << 20

// readFrame reads one; its body is in b, or where b has grown to.
func readFrame(r io.Reader, b []byte) (head, []byte, error) {
	var hb [headSize]byte
	if _, err := io.ReadFull(r, hb[:]); err != nil {
		return head{}, b, err
	}
	h, err := parseHead(hb[:])
	if err != nil {
		return h, b, err
	}
	b = b[:0]
	for n := int(h.length); n > 0; {
		next := min(n, max(step, cap(b)-len(b)))
		at := len(b)
		if at+next > cap(b) {
			b = append(b, make([]byte, next)...)
		} else {
			b = b[:at+next]
		}
		if _, err := io.ReadFull(r, b[at:]); err != nil {
			return h, b, fmt.Errorf("in the midst of a %v: %w", h.kind, err)
		}
		n -= next
	}
	return h, b, nil
}
