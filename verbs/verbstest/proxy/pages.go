// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
)

// What a caller on another machine calls instead of what brings a descriptor.

// AllocPages is Alloc, and tells the page frames.
func (h *host) AllocPages(bytes int) (id uint32, frames []uint64, err error) {
	m, err := h.Device.Alloc(bytes)
	if err != nil {
		return 0, nil, err
	}
	if frames, err = pagesOf(m.Bytes); err != nil {
		return 0, nil, errors.Join(err, h.Device.Free(m))
	}
	return put(h, h.memory, m), frames, nil
}

// PagesOf tells the frames as they are now.
func (h *host) PagesOf(id uint32) ([]uint64, error) { return pagesOf(get(h, h.memory, id).Bytes) }

// OpenChannel is CreateChannel; its descriptor stays here.
func (h *host) OpenChannel() (driver.Channel, error) {
	ch, fd, err := h.Device.CreateChannel()
	if err == nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.channels[ch] = fd
	}
	return ch, err
}

// WaitChannel waits for the channel's next event.
func (h *host) WaitChannel(ctx context.Context, ch driver.Channel) (driver.CQ, error) {
	h.mu.Lock()
	fd, ok := h.channels[ch]
	h.mu.Unlock()
	if !ok {
		return 0, driver.ErrInvalid
	}
	for ctx.Err() == nil {
		cq, err := h.Device.NextCQ(ch)
		if cq != 0 || err != nil {
			return cq, err
		}
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, 50); err != nil && err != unix.EINTR { // then look at ctx
			return 0, err
		}
	}
	return 0, ctx.Err()
}

// pagesOf locks memory and returns its page frames (Linux: admin-guide/mm/pagemap).
func pagesOf(b []byte) ([]uint64, error) {
	if len(b) == 0 {
		return nil, driver.ErrInvalid
	}
	if err := unix.Mlock(b); err != nil {
		return nil, os.NewSyscallError("mlock", err)
	}
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	page := os.Getpagesize()
	raw := make([]byte, 8*((len(b)+page-1)/page))
	if _, err := f.ReadAt(raw, int64(uintptr(unsafe.Pointer(&b[0]))/uintptr(page)*8)); err != nil {
		return nil, fmt.Errorf("read pagemap: %w", err)
	}
	frames := make([]uint64, len(raw)/8)
	for i := range frames {
		entry := binary.NativeEndian.Uint64(raw[8*i:])
		if entry>>63 == 0 || entry&(1<<55-1) == 0 {
			return nil, fmt.Errorf("page %d of %d has no frame that we may know", i, len(frames))
		}
		frames[i] = entry & (1<<55 - 1)
	}
	return frames, nil
}
