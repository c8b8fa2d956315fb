// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// WaitReadable returns when Read would have something, without reading it:
// bytes that nobody reads before an export are not lost by it (§2.6.4). It
// returns io.EOF when there will be no more. Read deadlines count.
func (r *rootState) WaitReadable() error {
	for {
		var err error
		if e := r.raw.Read(func(fd uintptr) (done bool) {
			done, err = r.readable(int(fd))
			return done
		}); e != nil && err == nil {
			err = r.failed(e)
		}
		again, err := r.s.retry(err, r.until(&r.readBy), nil)
		if !again {
			return err
		}
	}
}

// readable is one look; false: wait until the socket has something.
func (r *rootState) readable(fd int) (bool, error) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter(); err != nil {
		return true, err
	}
	defer s.leave()
	if r.up.Pos < r.up.End {
		return true, nil
	}
	var b [1]byte
	n, err := ignoringEINTR(func() (int, error) {
		n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return n, err
	})
	switch {
	case err == unix.EAGAIN:
		return false, nil
	case err != nil:
		return true, os.NewSyscallError("recv", err)
	case n == 0:
		return true, io.EOF
	}
	return true, nil
}
