// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"fmt"
)

// What a caller may ask for with errors.Is.
var (
	// ErrPermission: freezing, dumping and restoring need CAP_NET_ADMIN, the
	// peer's FIN CAP_NET_RAW.
	ErrPermission = errors.New("not permitted")
	// ErrUnquiet: segments went on changing a socket that is deaf.
	ErrUnquiet = errors.New("socket does not come to rest")
	// ErrMemory: the kernel has no memory for the queues; later it may.
	ErrMemory = errors.New("TCP has no memory left (net.ipv4.tcp_mem)")
)

// LacksError is a kernel without something that repair needs.
type LacksError struct {
	What, Since string // since which kernel there is such a thing
	Err         error
}

func (e *LacksError) Error() string {
	return fmt.Sprintf("this kernel lacks %s (Linux %s has it): %v", e.What, e.Since, e.Err)
}

func (e *LacksError) Unwrap() error { return e.Err }

// InvalidError is a dump that no socket can have given.
type InvalidError struct{ What, Why string }

func (e *InvalidError) Error() string { return fmt.Sprintf("socket dump: %s: %s", e.What, e.Why) }

func invalid(what, why string, args ...any) error {
	return &InvalidError{what, fmt.Sprintf(why, args...)}
}

// SizeError is a dump larger than the caller allows.
type SizeError struct {
	What       string
	Have, Most uint64
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("socket dump: %s of %d bytes, %d allowed", e.What, e.Have, e.Most)
}
