// SPDX-License-Identifier: Apache-2.0

package pager

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Scan is the scan that ends an interval, for who measures it: how many pages of this
// process in [start, end) were written. They are protected again, so that a pager that
// asks later does not hear of them.
func Scan(pagemap int, start, end uint64) (written int, err error) {
	s := scanner{fd: pagemap}
	err = s.scan(start, end, func(from, to uint64) { written += int(to-from) / unix.Getpagesize() })
	return written, err
}

// scanner asks a process's pagemap for pages that were written.
type scanner struct {
	fd   int
	runs [512]struct{ start, end, categories uint64 } // struct page_region
}

// scan tells found of each run of pages in [start, end) that were written since
// they were protected, and protects them again. Of PAGE_IS_WRITTEN alone it is asked:
// a page that was written and then taken out of the page table (it went to swap, or
// moves) is not present, and the kernel counts it as written, as it does one that never
// was there (fs/proc/task_mmu.c: pagemap_scan_pmd_entry).
func (s *scanner) scan(start, end uint64, found func(start, end uint64)) error {
	for {
		arg := struct { // struct pm_scan_arg
			size, flags, start, end, walkEnd                  uint64
			vec                                               uint64
			vecLen, maxPages                                  uint64
			inverted, categoryMask, categoryAnyof, returnMask uint64
		}{
			size: 96, flags: scanWPMatching | scanCheckWPAsync, start: start, end: end,
			vec: uint64(uintptr(unsafe.Pointer(&s.runs[0]))), vecLen: uint64(len(s.runs)),
			categoryMask: pageWritten, returnMask: pageWritten,
		}
		n, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(s.fd), pagemapScan, uintptr(unsafe.Pointer(&arg)))
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return fmt.Errorf("PAGEMAP_SCAN: %w", e)
		}
		for _, r := range s.runs[:n] {
			found(r.start, r.end)
		}
		if arg.walkEnd >= end || arg.walkEnd <= start && n == 0 {
			return nil
		}
		start = arg.walkEnd
	}
}
