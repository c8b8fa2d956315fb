// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
)

// waitFD waits in Go's poller for a descriptor that belongs to C. It polls a
// duplicate: C closes its own.
type waitFD struct {
	file *os.File
	conn syscall.RawConn
	turn chan struct{} // one waiter at a time: the deadline is the file's
}

// newWaitFD makes fd non-blocking, for C too.
func newWaitFD(fd int, name string) (*waitFD, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	w := &waitFD{file: os.NewFile(uintptr(dup), name), turn: make(chan struct{}, 1)}
	if w.conn, err = w.file.SyscallConn(); err != nil {
		w.file.Close()
		return nil, err
	}
	return w, nil
}

// wait calls try until it gives something else than EAGAIN, whenever the
// descriptor is readable.
func (w *waitFD) wait(ctx context.Context, try func() error) error {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-w.turn }()
	if err := w.file.SetReadDeadline(time.Time{}); err != nil {
		return driver.ErrClosed
	}
	cancelled := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		w.file.SetReadDeadline(time.Unix(1, 0))
		close(cancelled)
	})
	var tryErr error
	err := w.conn.Read(func(uintptr) bool {
		tryErr = try()
		return !errors.Is(tryErr, syscall.EAGAIN)
	})
	if !stop() {
		<-cancelled // it must not meet the next waiter's deadline
	}
	switch {
	case err == nil:
		return tryErr
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return driver.ErrClosed
	}
}

func (w *waitFD) close() { w.file.Close() }
