// SPDX-License-Identifier: Apache-2.0

package mtcp

import "fmt"

// Counters is what the kernel counts of one socket, without TCP_REPAIR and
// without the application: a system call is never half done, so they are exact
// after a SIGKILL at any instruction.
type Counters struct {
	State    State
	Received uint64 // tcpi_bytes_received
	Unread   uint32 // SIOCINQ: bytes, never a FIN
	Acked    uint64 // tcpi_bytes_acked
	Unacked  uint32 // SIOCOUTQ: to the end of what was written, and the FIN
}

// Offsets returns how many bytes the application has read and written since
// the kernel began to count. Both of TCP's totals count a FIN as a byte.
func (c Counters) Offsets() (read, written uint64, err error) {
	if !c.State.Movable() {
		return 0, 0, &StateError{c.State}
	}
	in, out := c.Received, c.Acked+uint64(c.Unacked)
	if c.State.PeerFin() {
		in--
	}
	if c.State.OwnFin() {
		out--
	}
	if in < uint64(c.Unread) || in > c.Received || out > c.Acked+uint64(c.Unacked) {
		return 0, 0, &InconsistentError{"socket counters", fmt.Sprintf("%+v", c), "those of a socket in " + c.State.String()}
	}
	return in - uint64(c.Unread), out, nil
}
