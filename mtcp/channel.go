// SPDX-License-Identifier: Apache-2.0

package mtcp

import "fmt"

// Channel is a stream between two processes of a service at the moment of a
// move (§2.4.4).
type Channel struct {
	LSR  uint64 // the reader's last snapshot: the first byte it reads after it
	LSW  uint64 // the writer's last snapshot: the first byte it writes after it
	Head uint64 // the first byte that had not been passed on to the reader
}

// Resumed is where both ends of a stream begin at the new server.
type Resumed struct {
	Log     Span   // bytes that move: the reader gets them again
	Reader  uint64 // = lsr
	Writer  uint64 // = lsw
	Head    uint64 // what is written before it is swallowed
	Discard uint64 // how much that is
}

// Sync synchronises a stream with the snapshots of its ends. Reader behind
// writer (Figure 2.5): [lsr, lsw) moves. Reader ahead (Figure 2.6): nothing
// does, and lsr - lsw bytes of the replay are discarded. Whole moves what lies
// behind lsw as well, so that less has to be transferred to the reader again.
func (c Channel) Sync(p Policy) (Resumed, error) {
	// What an export released may not have been passed on yet: it is in the log all the same.
	head := max(c.Head, c.LSW)
	if c.LSR > c.Head {
		return Resumed{}, &InconsistentError{"reader's snapshot", fmt.Sprint(c.LSR), fmt.Sprintf("at most the %d bytes it was given", c.Head)}
	}
	if p == Minimal {
		head = max(c.LSR, c.LSW)
	}
	return Resumed{
		Log:     Span{c.LSR, head},
		Reader:  c.LSR,
		Writer:  c.LSW,
		Head:    head,
		Discard: head - c.LSW,
	}, nil
}
