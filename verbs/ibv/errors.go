// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

import (
	"strings"
	"syscall"

	"lazystate/verbs/driver"
)

// Error is a C function that failed.
type Error struct {
	Func  string // "ibv_create_qp"
	Errno syscall.Errno
}

func (e *Error) Error() string { return e.Func + ": " + e.Errno.Error() }

// Unwrap gives the errno to errors.Is.
func (e *Error) Unwrap() error { return e.Errno }

// Is maps errnos to what package driver calls them.
func (e *Error) Is(target error) bool {
	switch target {
	case driver.ErrNotSupported:
		return e.Errno == syscall.ENOSYS || e.Errno == syscall.EOPNOTSUPP
	case driver.ErrInvalid:
		return e.Errno == syscall.EINVAL
	case driver.ErrQueueFull:
		return e.Errno == syscall.ENOMEM && strings.HasPrefix(e.Func, "ibv_post_")
	case driver.ErrUnreachable:
		return e.Errno == syscall.ETIMEDOUT || e.Errno == syscall.EHOSTUNREACH || e.Errno == syscall.ENETUNREACH
	}
	return false
}

// fail is the error of a function that set errno; cgo returned it as err.
func fail(fn string, err error) error {
	errno, ok := err.(syscall.Errno)
	if !ok || errno == 0 {
		errno = syscall.EIO // it failed and did not say why
	}
	return &Error{fn, errno}
}

// check is the error of a function that returns an errno, as most of
// libibverbs do, or -1 with errno set, as all of librdmacm do.
func check(fn string, ret int, err error) error {
	switch {
	case ret == 0:
		return nil
	case ret == -1:
		return fail(fn, err)
	case ret < 0:
		ret = -ret
	}
	return &Error{fn, syscall.Errno(ret)}
}

// invalid is what C would answer, found before C is asked.
func invalid(fn string) error { return &Error{fn, syscall.EINVAL} }
