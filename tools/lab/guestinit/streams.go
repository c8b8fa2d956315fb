// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/tools/lab/wire"
)

// streams are both ends of a process's standard streams: pipes, or one
// pseudo terminal.
type streams struct {
	theirs [3]*os.File
	in     *os.File
	out    *os.File
	err    *os.File // nil with a terminal
	isTTY  bool
}

func newStreams(p wire.Proc) (*streams, error) {
	if p.TTY {
		return newTTY(p.Rows, p.Cols)
	}
	s := &streams{}
	var err error
	if s.theirs[0], s.in, err = os.Pipe(); err != nil {
		return nil, err
	}
	if s.out, s.theirs[1], err = os.Pipe(); err != nil {
		s.close()
		return nil, err
	}
	if s.err, s.theirs[2], err = os.Pipe(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func newTTY(rows, cols int) (*streams, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	master := os.NewFile(uintptr(fd), "/dev/ptmx")
	s := &streams{in: master, out: master, isTTY: true}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil && rows > 0 {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(rows), Col: uint16(cols)})
	}
	if err != nil {
		s.close()
		return nil, err
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		s.close()
		return nil, err
	}
	s.theirs = [3]*os.File{slave, slave, slave}
	return s, nil
}

func (s *streams) closeTheirs() {
	for i, f := range s.theirs {
		if f != nil {
			f.Close()
		}
		s.theirs[i] = nil
	}
}

// endInput gives the process an end of file: on a terminal that is ^D.
func (s *streams) endInput() {
	if s.isTTY {
		s.in.Write([]byte{4})
		return
	}
	s.in.Close()
}

func (s *streams) expire(t time.Time) {
	s.out.SetReadDeadline(t)
	if s.err != nil {
		s.err.SetReadDeadline(t)
	}
}

// output is read until its deadline, and then to the end of what lies in it: the
// process has ended, so that is all it said. On a busy host the deadline may be
// over before the first read.
type output struct {
	*os.File
	over bool
	left int
}

func (o *output) Read(b []byte) (n int, err error) {
	if !o.over {
		if n, err = o.File.Read(b); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
	}
	raw, err := o.SyscallConn()
	if err != nil {
		return 0, err
	}
	if cerr := raw.Control(func(fd uintptr) { n, err = o.rest(int(fd), b) }); cerr != nil {
		return 0, cerr
	}
	return n, err
}

// rest reads no more than lay there at first: others may go on writing for ever.
func (o *output) rest(fd int, b []byte) (n int, err error) {
	if !o.over {
		if o.left, err = unix.IoctlGetInt(fd, unix.TIOCINQ); err != nil {
			return 0, err
		}
		o.over = true
	}
	if o.left == 0 {
		return 0, io.EOF
	}
	if n, err = unix.Read(fd, b[:min(o.left, len(b))]); err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, io.EOF
	}
	o.left -= n
	return n, nil
}

func (s *streams) close() {
	s.closeTheirs()
	for _, f := range []*os.File{s.in, s.out, s.err} {
		if f != nil {
			f.Close()
		}
	}
}
