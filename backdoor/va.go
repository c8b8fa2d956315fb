// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"context"
	"errors"

	"lazystate/backdoor/uapi"
)

// VARead asks for the bytes at a kernel virtual address.
type VARead struct {
	VA  uint64
	Buf []byte
	Err error // nil, *AddressError or the carrier's refusal of this read
}

const (
	// kernelMap is __START_KERNEL_map, arch/x86/include/asm/page_64_types.h.
	kernelMap = 0xffffffff80000000
	// kernelMapEnd is MODULES_VADDR with CONFIG_RANDOMIZE_BASE (KERNEL_IMAGE_SIZE 1 GiB).
	kernelMapEnd = 0xffffffffc0000000

	// batchOps is the most operations that one batch of a compound read has.
	batchOps = 128
	// reposts bounds how often one ReadVA starts a batch again behind a
	// refused operation; over RDMA each costs a connection.
	reposts = 16
)

// addressSpace knows how a kernel virtual address becomes a remote address.
type addressSpace struct {
	memory   []Region // the direct map, in one region or several
	base     uint64   // page_offset_base
	physBase uint64
	hasPhys  bool
	tables   pageTables
}

func newAddressSpace(regions []Region, m *Manifest) addressSpace {
	s := addressSpace{}
	for _, r := range regions {
		if r.Kind == uapi.KindMemory && r.Perm&PermRead != 0 && !r.MMIO {
			s.memory = append(s.memory, r)
		}
	}
	s.base, _ = m.Value("page_offset_base")
	s.physBase, s.hasPhys = m.Value("phys_base")
	s.tables = newPageTables(m)
	return s
}

// piece is a part of a read that is contiguous for the carrier.
type piece struct {
	read int // index of the VARead
	op   Op
}

// direct returns the operation for n bytes at a direct-map address, cut at the
// end of its region.
func (s *addressSpace) direct(va uint64, buf []byte) (Op, bool) {
	for i := range s.memory {
		if r := &s.memory[i]; r.Contains(va, 1) {
			n := min(uint64(len(buf)), r.Len-(va-r.Addr))
			return r.Read(va-r.Addr, buf[:n]), true
		}
	}
	return Op{}, false
}

// kernel reports whether an address is canonical and in the upper half: list
// poison (0xdead000000000100) and user addresses are not.
func (s *addressSpace) kernel(va uint64) bool {
	bits := 57
	if s.tables.levels == 4 {
		bits = 48
	}
	return int64(va)>>(bits-1) == -1
}

// alias turns a kernel-image address into its direct-map address.
func (s *addressSpace) alias(va uint64) (uint64, bool) {
	if s.hasPhys && va >= kernelMap && va < kernelMapEnd {
		return s.base + (va - kernelMap + s.physBase), true
	}
	return va, false
}

// ReadVA reads many kernel virtual addresses in few batches: direct map and
// kernel image by arithmetic, vmalloc and modules by a walk over the target's
// page tables. It returns the first error; each read tells its own, and reads
// without one have their bytes.
func (t *Target) ReadVA(ctx context.Context, reads []VARead) error {
	if err := t.readVA(ctx, reads, batchOps); err != nil {
		return err
	}
	for i := range reads {
		if reads[i].Err != nil {
			return reads[i].Err
		}
	}
	return nil
}

// ReadEach is ReadVA whose error is the carrier's or the context's alone:
// addresses that lead nowhere only set the Err of their own reads.
func (t *Target) ReadEach(ctx context.Context, reads []VARead) error {
	return t.readVA(ctx, reads, batchOps)
}

// readVA is ReadVA with a batch size of the caller's. Its error is the
// carrier's or the context's; addresses that lead nowhere only set Err.
func (t *Target) readVA(ctx context.Context, reads []VARead, batch int) error {
	if most := t.mem.Caps().MaxBatch; most > 0 {
		batch = min(batch, most)
	}
	pieces, walks := t.split(reads)
	if len(walks) > 0 {
		found, err := t.translate(ctx, reads, walks, batch)
		if err != nil {
			return err
		}
		for _, i := range walks {
			pieces = t.splitPages(found, pieces, reads, i)
		}
	}
	return t.runPieces(ctx, reads, pieces, batch)
}

// split cuts the reads that need no page walk and lists those that do.
func (t *Target) split(reads []VARead) (pieces []piece, walks []int) {
	pieces = make([]piece, 0, len(reads))
	for i := range reads {
		r := &reads[i]
		r.Err = nil
		if len(r.Buf) == 0 || overflows(r.VA, uint64(len(r.Buf))) || !t.space.kernel(r.VA) {
			r.Err = &AddressError{r.VA, "not a kernel address range"}
			continue
		}
		va, image := t.space.alias(r.VA)
		if _, ok := t.space.direct(va, r.Buf); !ok && !image && t.space.tables.levels > 0 {
			walks = append(walks, i)
			continue
		}
		for buf := r.Buf; len(buf) > 0; {
			op, ok := t.space.direct(va, buf)
			if !ok {
				r.Err = &AddressError{r.VA, "outside the target's memory regions"}
				break
			}
			pieces = append(pieces, piece{i, op})
			va += uint64(len(op.Buf))
			buf = buf[len(op.Buf):]
		}
	}
	return pieces, walks
}

// runPieces posts the operations. A refused one fails its own read only: those
// that were flushed behind it are posted again.
func (t *Target) runPieces(ctx context.Context, reads []VARead, pieces []piece, batch int) error {
	again := 0
	for len(pieces) > 0 {
		n := min(batch, len(pieces))
		ops := make([]Op, n)
		for i := range ops {
			ops[i] = pieces[i].op
		}
		err := t.Do(ctx, ops...)
		if err == nil {
			pieces = pieces[n:]
			continue
		}
		var refused *AccessError
		if !errors.As(err, &refused) || again == reposts {
			return err
		}
		again++
		done := 0
		for done < n && ops[done].Err == nil {
			done++
		}
		reads[pieces[done].read].Err = ops[done].Err
		pieces = pieces[done+1:]
	}
	return nil
}
