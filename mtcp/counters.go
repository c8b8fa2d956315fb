// SPDX-License-Identifier: Apache-2.0

package mtcp

import "fmt"

// Counters is what the kernel counts of one socket, without TCP_REPAIR and
// without the application: a system call is never half done, so they are exact
// after a SIGKILL at any instruction.
type Counters struct {
	State    State
	Whole    bool   // of CLOSE: the peer's FIN has come, and no error waits to be told
	Received uint64 // tcpi_bytes_received
	Unread   uint32 // SIOCINQ: bytes, never a FIN
	Acked    uint64 // tcpi_bytes_acked
	Unacked  uint32 // SIOCOUTQ: to the end of what was written, and the FIN
}

// Ended reports a socket that is closed because both ends have closed their
// halves, and not by a reset or because nobody answered. Its counters count on, for
// what it has received is there until somebody reads it: Linux leaves TIME_WAIT to
// another socket and goes to CLOSE from FIN_WAIT2, CLOSING and LAST_ACK alike. An
// error tells the others, until it is consumed; then they are told by what is
// missing, the peer's FIN or the acknowledgement of our own. What neither tells is
// a reset in CLOSE_WAIT that found nothing unacknowledged: a FIN is taken off that
// was never sent, so there is a byte less than the box has noted as written.
func (c Counters) Ended() bool { return c.State == Close && c.Whole && c.Unacked == 0 }

// Offsets returns how many bytes the application has read and written since
// the kernel began to count. Both of TCP's totals count a FIN as a byte.
func (c Counters) Offsets() (read, written uint64, err error) {
	ended := c.Ended()
	if !c.State.Movable() && !ended {
		return 0, 0, &StateError{c.State}
	}
	in, out := c.Received, c.Acked+uint64(c.Unacked)
	if ended || c.State.PeerFin() {
		in--
	}
	if ended || c.State.OwnFin() {
		out--
	}
	if in < uint64(c.Unread) || in > c.Received || out > c.Acked+uint64(c.Unacked) {
		return 0, 0, &InconsistentError{"socket counters", fmt.Sprintf("%+v", c), "those of a socket in " + c.State.String()}
	}
	return in - uint64(c.Unread), out, nil
}
