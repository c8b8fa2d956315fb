// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"fmt"
	"slices"

	"lazystate/internal/seqnum"
	"lazystate/verbs/roce/wire"
)

// Refusal is a request of a peer's that ended its connection. The peer learns
// only a status of it; this says which packet it was.
type Refusal struct {
	QPN      uint32
	Opcode   wire.Opcode
	PSN      seqnum.PSN
	Length   int  // of the payload
	Amid     bool // in the middle of a message
	Syndrome wire.Syndrome
}

// String is a line for a log.
func (r Refusal) String() string {
	where := "between messages"
	if r.Amid {
		where = "in the middle of a message"
	}
	return fmt.Sprintf("qp %#06x: %v of %d bytes, PSN %#06x, %s: %v", r.QPN, r.Opcode, r.Length, uint32(r.PSN), where, r.Syndrome)
}

const maxRefusals = 16

// Refusals returns the last ones, the oldest first.
func (d *Device) Refusals() []Refusal {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.refusals)
}

func (d *Device) refused(r Refusal) {
	if len(d.refusals) == maxRefusals {
		d.refusals = slices.Delete(d.refusals, 0, 1)
	}
	d.refusals = append(d.refusals, r)
}
