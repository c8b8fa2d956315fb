// SPDX-License-Identifier: Apache-2.0

// Package mapfault turns memory faults in a mapping into errors. A file that is
// cut while it is mapped answers an access behind its new end with SIGBUS, and
// a Go program dies of that unless it asks for a panic instead.
//
// The trap: only what Go code itself touches is caught. A system call that is
// given the address answers EFAULT, and C code dies.
//
//	if err := mapfault.Copy(dst, mapping[off:off+n]); err != nil {
//		return fmt.Errorf("read at %#x: %w", off, err)
//	}
package mapfault
