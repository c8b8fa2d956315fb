// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"

	"lazystate/mtcp/party"
)

// ID names one move; whoever begins it draws it.
type ID [16]byte

func (id ID) String() string { return hex.EncodeToString(id[:8]) }

func newID() (id ID) {
	rand.Read(id[:]) // never fails
	return id
}

// part is the kind of a frame that carries one session of a state reply, status
// that of one that says how a server is; the other kinds are those of mtcp/party.
const (
	part   = 64
	status = 65
)

// frame is a message between servers: length u32, kind u8, the move's ID, body.
type frame struct {
	kind uint8
	id   ID
	body []byte
}

const (
	frameHead  = 1 + 16
	leastFrame = 4 + frameHead
	mostFrame  = 1 << 30 // what a Mesh allows is less
)

// between are the kinds that servers say to each other, by their numbers there.
var between = map[uint8]party.Kind{1: party.Propose, 2: party.Accept, 3: party.Ask, 4: party.State, 5: party.Ready, 6: party.Go,
	7: party.Moved, 8: party.Never, 9: party.Abort, 10: party.Query}

func kindOf(k party.Kind) uint8 {
	for n, other := range between {
		if other == k {
			return n
		}
	}
	return 0
}

func (f frame) String() string {
	switch f.kind {
	case part:
		return fmt.Sprintf("PART %s (%d bytes)", f.id, len(f.body))
	case status:
		return "STATUS"
	case gateHold, gateSwitch, gateBack, gateDone, gateFailed:
		return fmt.Sprintf("GATEWAY %d %s", f.kind, f.id)
	}
	return fmt.Sprintf("%s %s", between[f.kind], f.id)
}

func (f frame) append(b []byte) []byte {
	b = le.AppendUint32(b, uint32(frameHead+len(f.body)))
	b = append(append(b, f.kind), f.id[:]...)
	return append(b, f.body...)
}

// appendPart is append of a session's part of a state reply.
func appendPart(b []byte, id ID, s *State) []byte {
	at := len(b)
	b = s.AppendBinary(frame{kind: part, id: id}.append(b))
	le.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

func writeFrame(w io.Writer, f frame) error {
	_, err := w.Write(f.append(nil))
	return err
}

// readFrame reads one of at most most bytes of body.
func readFrame(r io.Reader, most int) (frame, error) {
	var head [leastFrame]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	n := uint64(le.Uint32(head[:]))
	if n < frameHead || n-frameHead > uint64(min(most, mostFrame)) {
		return frame{}, &MalformedError{"message of a server", fmt.Sprintf("%d bytes, at most %d", n, most+frameHead)}
	}
	f := frame{kind: head[4], id: ID(head[5:])}
	if _, known := between[f.kind]; !known && f.kind != part && f.kind != status && (f.kind < gateHold || f.kind > gateFailed) {
		return frame{}, &MalformedError{"message of a server", fmt.Sprintf("kind %d", f.kind)}
	}
	f.body = make([]byte, n-frameHead)
	_, err := io.ReadFull(r, f.body)
	return f, err
}
