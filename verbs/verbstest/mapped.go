// SPDX-License-Identifier: Apache-2.0

package verbstest

import (
	"bytes"
	"errors"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/verbs"
)

// testMapped registers memory that the program, and not the device, has mapped.
func testMapped(t *testing.T, b *bench) {
	const size = 64 << 10
	x, y := b.ends(t, config{})
	local := mapped(t, x, size, verbs.AccessLocalWrite)
	remote := mapped(t, y, size, verbs.AccessAll)
	if at := uint64(uintptr(unsafe.Pointer(&remote.Bytes()[0]))); remote.Addr() != at || remote.Len() != size {
		t.Fatalf("registered at %#x, %d bytes; the memory is at %#x", remote.Addr(), remote.Len(), at)
	}
	fill(local.Bytes(), 1)
	fill(remote.Bytes(), 2)
	read := bytes.Clone(remote.Bytes()[40000:50000])
	written := bytes.Clone(local.Bytes()[123:5123])
	x.send(
		verbs.SendWR{Op: verbs.OpRDMAWrite, SG: []verbs.SGE{local.SGE(123, 5000)}, RemoteAddr: remote.Addr() + 7, RKey: remote.RKey()},
		verbs.SendWR{
			Op: verbs.OpRDMARead, Flags: verbs.SendSignaled, SG: []verbs.SGE{local.SGE(20001, 10000)},
			RemoteAddr: remote.Addr() + 40000, RKey: remote.RKey(),
		})
	x.ok(1)
	if !bytes.Equal(local.Bytes()[20001:30001], read) {
		t.Error("other bytes were read")
	}
	if !bytes.Equal(remote.Bytes()[7:5007], written) {
		t.Error("other bytes were written")
	}
}

// mapped registers memory of no file with e's domain.
func mapped(t *testing.T, e *end, size int, a verbs.Access) *verbs.MR {
	t.Helper()
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	mr, err := e.pd.RegMR(mem, a)
	if err != nil {
		unix.Munmap(mem)
	}
	if errors.Is(err, verbs.ErrNotSupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		closeAll(t, mr)
		if err := unix.Munmap(mem); err != nil {
			t.Error(err)
		}
	})
	return mr
}
