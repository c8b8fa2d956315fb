// SPDX-License-Identifier: Apache-2.0

// Package memfd makes memory that processes share by passing its descriptor: a
// session's box (§2.4.2), the buffers of a provider of verbs, the region and the
// ring of the DSM (§4.3.2), and the pages that its nodes lay out for each other.
//
// The trap: whoever maps a file dies by SIGBUS of a page behind its end, and any
// holder of the descriptor can cut it. So the size is sealed, for good.
//
//	fd, err := memfd.Sealed("region", 1<<20)
//	if err != nil {
//		return err
//	}
//	defer unix.Close(fd)
//	b, err := unix.Mmap(fd, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
package memfd
