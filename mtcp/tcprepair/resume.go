// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lazystate/mtcp/cbox"
)

// Resume takes over a socket that another process has Restored of a dump, and did
// not live to let live, or to say that it had: Live does what is left to do, and
// Abandon ends it if it was to live nowhere. fd is Restored's from then on, and
// nobody has used it since.
func (s *Stack) Resume(fd int, d *Dump) (*Restored, error) {
	on, err := getsockopt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR)
	if err != nil {
		return nil, fmt.Errorf("resume socket %s of %s: %w", d.Local, d.Remote, err)
	}
	return &Restored{stack: s, fd: fd, dump: d, grown: true, resumed: true, spoken: on == 0}, nil
}

// unwritten is what was never sent, and is not in the queue yet.
func (r *Restored) unwritten() ([]byte, error) {
	out := r.dump.Out[r.dump.sent():]
	if !r.resumed {
		return out, nil
	}
	c, err := cbox.Counters(r.fd)
	if err != nil {
		return nil, err
	}
	if c.State.OwnFin() { // which comes behind them
		return nil, nil
	}
	_, written, err := c.Offsets()
	if err != nil {
		return nil, err
	}
	if have := uint64(len(r.dump.Out)); written > have {
		return nil, invalid("send queue", "%d bytes are written, there were %d", written, have)
	}
	return r.dump.Out[written:], nil
}
