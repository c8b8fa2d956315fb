// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"encoding/binary"
	"os"
)

const swapPage = 4096

// makeSwap writes a sparse file with a swap header, as mkswap does (union
// swap_header in the kernel's include/linux/swap.h).
func makeSwap(path string, mib int) error {
	size := int64(mib) << 20
	page := make([]byte, swapPage)
	binary.LittleEndian.PutUint32(page[1024:], 1)                       // version
	binary.LittleEndian.PutUint32(page[1028:], uint32(size/swapPage)-1) // last page
	copy(page[swapPage-10:], "SWAPSPACE2")
	if err := room(path, mib); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(page); err != nil {
		return err
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	return f.Close()
}
