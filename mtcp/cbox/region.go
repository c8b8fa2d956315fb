// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/internal/memfd"
)

// ID names a session, wherever it goes.
type ID [16]byte

func (id ID) String() string { return hex.EncodeToString(id[:4]) }

func newID() (id ID) {
	rand.Read(id[:]) // never fails
	return id
}

// Region is where a box lies: Length bytes at Offset of a file that can be
// mapped, a memfd of its own or an open file of /dev/backdoor.
type Region struct {
	File           *os.File
	Offset, Length int64
}

// NewRegion makes room for a box: in memory that outlives the kernel where there
// is such memory for this process, else in a memfd.
func NewRegion(length int64) (Region, error) {
	r, _, err := newRegion(length, noSocket)
	return r, err
}

// newRegion also tells whether it is the module's.
func newRegion(length int64, socket int) (r Region, device bool, err error) {
	if r, err := newDeviceRegion(length, socket); err == nil {
		return r, true, nil
	}
	r, err = newMemfdRegion(length)
	return r, false, err
}

// newMemfdRegion makes a memfd that can neither grow nor shrink: whoever maps it
// cannot be made to fault by somebody who cuts it.
func newMemfdRegion(length int64) (Region, error) {
	fd, err := memfd.Sealed("cbox", length)
	if err != nil {
		return Region{}, err
	}
	return Region{newFile(fd), 0, length}, nil
}

func newFile(fd int) *os.File { return os.NewFile(uintptr(fd), "cbox") }

const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW

// Check reports why a region that came from somebody else must not be mapped.
func (r Region) Check() error {
	_, err := r.check()
	return err
}

// check also tells whether it is the module's.
func (r Region) check() (device bool, err error) {
	if r.Length < uapi.CboxHeadSize || r.Length > uapi.CboxLenMax || r.Offset < 0 || r.Offset%pageSize != 0 {
		return false, damaged("region", "%d bytes at %d", r.Length, r.Offset)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(r.File.Fd()), &st); err != nil {
		return false, fmt.Errorf("box's file: %w", err)
	}
	if isDevice(&st) {
		return true, r.checkDevice()
	}
	if st.Size-r.Length < r.Offset {
		return false, damaged("region", "%d bytes at %d of a file of %d", r.Length, r.Offset, st.Size)
	}
	return false, r.checkMemfd()
}

func (r Region) checkMemfd() error {
	if err := ordinary(r.File); err != nil {
		return err
	}
	have, err := unix.FcntlInt(r.File.Fd(), unix.F_GET_SEALS, 0)
	if err != nil {
		return fmt.Errorf("seals of the box's file: %w", err)
	}
	if have&seals != seals || have&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0 {
		return damaged("region", "seals %#x, not those of a box", have)
	}
	return nil
}

// ordinary refuses memory whose pages may not be there when they are touched: a
// memfd of huge pages has seals too, and kills its reader when none is left.
func ordinary(f *os.File) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		return fmt.Errorf("box's file: %w", err)
	}
	if fs.Type != unix.TMPFS_MAGIC {
		return damaged("region", "file system %#x, not that of a memfd", fs.Type)
	}
	return nil
}

const pageSize = 4096

func (r Region) mapped() (memory, error) {
	b, err := unix.Mmap(int(r.File.Fd()), r.Offset, int(r.Length), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map box: %w", err)
	}
	return b, nil
}
