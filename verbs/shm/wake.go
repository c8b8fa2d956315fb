// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"math/bits"
	"os"

	"golang.org/x/sys/unix"
)

// ring sets a device's hint for a queue pair and rings its bell if it sleeps.
func ring(hints, table []byte, bell int, num uint32) {
	bit := num % hintBits
	u64(hints, int(bit/64)*8).Or(1 << (bit % 64))
	if u32(table, tabAsleep).Load() != 0 {
		unix.Write(bell, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// hint tells this device itself.
func (d *Device) hint(num uint32) { ring(d.hints, d.table.b, d.bell, num) }

// serve looks after the queue pairs that peers gave hints of, and sleeps when
// there are none. asleep is set before the last look: who comes later rings.
func (d *Device) serve() {
	defer d.done.Done()
	asleep := u32(d.table.b, tabAsleep)
	var count [8]byte
	for {
		if d.look() {
			continue
		}
		asleep.Store(1)
		if d.look() {
			asleep.Store(0)
			continue
		}
		_, err := d.bellFile.Read(count[:])
		asleep.Store(0)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// look takes the hints of this moment; false: there were none.
func (d *Device) look() bool {
	found := false
	for w := range hintBits / 64 {
		word := u64(d.hints, w*8)
		if word.Load() == 0 {
			continue
		}
		found = true
		for set := word.Swap(0); set != 0; set &= set - 1 {
			d.hinted(uint32(w*64 + bits.TrailingZeros64(set)))
		}
	}
	return found
}

// hinted lets the queue pairs act that share a hint.
func (d *Device) hinted(bit uint32) {
	d.mu.Lock()
	engines := d.byHint[bit]
	d.mu.Unlock()
	for _, e := range engines {
		e.qp.Lock()
		e.act()
		e.qp.Unlock()
	}
}
