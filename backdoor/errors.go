// SPDX-License-Identifier: Apache-2.0

package backdoor

import "fmt"

// CorruptError is a structure of the target that failed its validation.
type CorruptError struct {
	What string // "root", "region table", "manifest", "task list", ...
	Why  string
}

func (e *CorruptError) Error() string { return e.What + ": " + e.Why }

func corrupt(what, format string, args ...any) error {
	return &CorruptError{What: what, Why: fmt.Sprintf(format, args...)}
}

// MissingError names what the manifest does not have.
type MissingError struct {
	Names []string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("the manifest of the target has no %q", e.Names)
}

// AddressError is a kernel virtual address that leads to no readable memory.
type AddressError struct {
	VA  uint64
	Why string
}

func (e *AddressError) Error() string { return fmt.Sprintf("address %#x: %s", e.VA, e.Why) }
