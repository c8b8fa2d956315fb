// SPDX-License-Identifier: Apache-2.0

// Package pager is a node's copy of the shared region (§4.3.2): the memory behind
// dsm.Memory, and the page faults of the program that uses it. It is userfaultfd
// without cgo.
//
// The region is a memfd. The program maps it where all processes do and has it
// watched; the daemon maps it too, unwatched (the alias), so it reads and writes
// pages without a fault of its own. A page that the program may not access is not
// in the memfd at all: its bytes are in a buffer, and UFFDIO_COPY puts them in
// place, write-protected if the program may only read. A page that is taken away
// goes back into a buffer, and a hole is punched for it.
//
// Writes are found in one of two ways, see Probe:
//
//	async  the kernel lets a write through and notes it; PAGEMAP_SCAN asks for all
//	       pages written and protects them again, at once (Linux 6.7)
//	sync   the first write of an interval is a fault (Linux 6.1 is enough)
//
// Faults are served here and never in the program: what stops a Go program's
// threads would wait for the very one that waits for its page.
//
// The traps:
//
//   - To read the alias of a page that is not there allocates zeros, which the
//     program then reads. So nobody has the alias but through Bytes.
//   - UFFDIO_COPY that finds a page there (EEXIST), or a mapping that changes
//     (EAGAIN), wakes nobody.
//   - Who is woken runs at once, in the middle of what we do. So pages are put in
//     place without waking, and Woken does that, after the node's lock.
//   - A fault may be told twice: a signal ends the wait, and the access is tried
//     again. Allowed says what needs no more.
//   - A page that was written need not be in the program's page table any more when
//     it is asked for: the kernel may have reclaimed or moved it. PAGE_IS_PRESENT must not
//     be asked for. Kernels before 6.15 that lack "fix uffd-wp confusion in
//     pagemap_scan_pmd_entry" and "fix loss of young/dirty bits during pagemap scan", both
//     of fs/proc/task_mmu and in the stable kernels since, can miss a page that is just
//     being moved, or that came back from swap.
//   - When the program's userfaultfd is closed everywhere, what it accesses reads
//     as zeros. It keeps its own descriptor (see dsm/call).
//
// Mind the order: Settle before the program may go on.
//
//	p, err := pager.New(pages, 4096, pager.Async)
//	node := dsm.New(cfg, p.Memory())
//	...
//	err = p.Attach(uffd, pagemap, base)
//	for {
//		f, err := p.Next() // on a thread of its own
//		node.Step(f) // and p.Resume
//		err = p.Settle()
//		wake := p.Woken()
//		mu.Unlock()
//		wake()
//	}
package pager
