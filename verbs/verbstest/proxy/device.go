// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
)

// Device is a device of another process.
type Device struct {
	*client
	attr driver.DeviceAttr

	files  sync.Mutex // one call that brings a file at a time
	mu     sync.Mutex
	memory map[uint32][]byte // what Alloc mapped, by its number
	fds    map[driver.Channel]int
}

// Start starts a process and opens url in it.
func Start(url string) (*Device, error) {
	c, err := start(url)
	if err != nil {
		return nil, err
	}
	d := &Device{client: c, memory: map[uint32][]byte{}, fds: map[driver.Channel]int{}}
	if err := d.do(context.Background(), "Attr", nil, &d.attr); err != nil {
		c.end()
		return nil, err
	}
	d.attr.Caps &^= driver.CapHandler // a handler cannot travel
	return d, nil
}

// Open returns Start's device: one that waits by itself if the other one does.
func Open(url string) (driver.Device, error) {
	d, err := Start(url)
	if err != nil {
		return nil, err
	}
	waits := false
	if err := d.do(context.Background(), "Waits", nil, &waits); err != nil {
		d.end()
		return nil, err
	}
	if waits {
		return waiter{d}, nil
	}
	return d, nil
}

// Kill ends the process as a crash would. Calls do nothing then.
func (d *Device) Kill() error { return d.end() }

// Close closes the device and ends its process.
func (d *Device) Close() error {
	if d.killed() {
		return nil
	}
	err := d.do(context.Background(), "Close", nil)
	d.end()
	return err
}

// waiter is a device that can wait by itself.
type waiter struct{ *Device }

// WaitCQ waits over there.
func (w waiter) WaitCQ(ctx context.Context, cq driver.CQ, wc []driver.WC) (int, error) {
	var got []driver.WC
	err := w.do(ctx, "Await", []any{cq, len(wc)}, &got)
	return copy(wc, got), err
}

// Attr returns what the device over there said.
func (d *Device) Attr() driver.DeviceAttr { return d.attr }

// Alloc maps memory of the other process.
func (d *Device) Alloc(bytes int) (driver.Memory, error) {
	d.files.Lock()
	defer d.files.Unlock()
	none := driver.Memory{FD: -1}
	var id uint32
	fd := file(-1)
	if err := d.do(context.Background(), "AllocFile", []any{bytes}, &id, &fd); err != nil || fd < 0 {
		return none, err
	}
	b, err := unix.Mmap(int(fd), 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return none, fmt.Errorf("map the other process's memory: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.memory[id] = b
	return driver.Memory{Bytes: b, FD: int(fd)}, nil
}

// find returns the segment that m is of.
func (d *Device) find(m driver.Memory) (segment, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := address(m.Bytes)
	for id, b := range d.memory {
		if base := address(b); at >= base && at+uintptr(len(m.Bytes)) <= base+uintptr(len(b)) {
			return segment{id, int(at - base), len(m.Bytes)}, nil
		}
	}
	return segment{}, fmt.Errorf("memory that Alloc did not return: %w", driver.ErrInvalid)
}

// Free ends memory of both processes.
func (d *Device) Free(m driver.Memory) error {
	s, err := d.find(m)
	if err != nil {
		return err
	}
	d.mu.Lock()
	delete(d.memory, s.ID)
	d.mu.Unlock()
	unix.Munmap(m.Bytes)
	unix.Close(m.FD)
	return d.do(context.Background(), "FreeFile", []any{s.ID})
}

// RegMR registers memory that Alloc returned, or a part of it.
func (d *Device) RegMR(pd driver.PD, m driver.Memory, iova uint64, a driver.Access) (info driver.MRInfo, err error) {
	s, err := d.find(m)
	if err != nil {
		return info, fmt.Errorf("register memory that the other process does not have: %w", driver.ErrNotSupported)
	}
	return info, d.do(context.Background(), "RegFile", []any{pd, s, iova, a}, &info)
}

// CreateChannel returns a duplicate of the descriptor over there.
func (d *Device) CreateChannel() (ch driver.Channel, fd int, err error) {
	d.files.Lock()
	defer d.files.Unlock()
	f := file(-1)
	if err := d.do(context.Background(), "MakeChannel", nil, &ch, &f); err != nil {
		return 0, -1, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fds[ch] = int(f)
	return ch, int(f), nil
}

// DestroyChannel ends it on both sides.
func (d *Device) DestroyChannel(ch driver.Channel) error {
	d.mu.Lock()
	unix.Close(d.fds[ch])
	delete(d.fds, ch)
	d.mu.Unlock()
	return d.do(context.Background(), "DestroyChannel", []any{ch})
}

// PollCQ polls over there.
func (d *Device) PollCQ(cq driver.CQ, wc []driver.WC) (int, error) {
	var got []driver.WC
	err := d.do(context.Background(), "Take", []any{cq, len(wc)}, &got)
	return copy(wc, got), err
}
