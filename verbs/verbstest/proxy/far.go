// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
)

// Far is a device on another machine, whose process somebody else has started:
// no descriptor comes from there, but its memory can be seen here.
type Far struct {
	*Device
	mapper Mapper

	mu       sync.Mutex
	frames   map[uint32][]uint64 // of what Alloc mapped
	channels map[driver.Channel]*channel
}

// Environ makes the program, started on another machine, serve the device of
// url over its standard input and output.
func Environ(url string) []string { return []string{urlVar + "=" + url, farVar + "=1"} }

// Dial talks to such a process; stop ends it.
func Dial(to io.Writer, from io.Reader, m Mapper, stop func() error) (*Far, error) {
	d := &Device{client: newClient(to, from, nil, stop), memory: map[uint32][]byte{}, fds: map[driver.Channel]int{}}
	if err := d.do(context.Background(), "Attr", nil, &d.attr); err != nil {
		d.end()
		return nil, err
	}
	d.attr.Caps &^= driver.CapHandler
	return &Far{Device: d, mapper: m, frames: map[uint32][]uint64{}, channels: map[driver.Channel]*channel{}}, nil
}

// Alloc maps memory of the other machine.
func (f *Far) Alloc(bytes int) (driver.Memory, error) {
	none := driver.Memory{FD: -1}
	var id uint32
	var frames []uint64
	if err := f.do(context.Background(), "AllocPages", []any{bytes}, &id, &frames); err != nil || f.killed() {
		return none, err
	}
	b, err := f.mapper(frames)
	if err != nil {
		return none, err
	}
	f.Device.mu.Lock()
	f.memory[id] = b
	f.Device.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frames[id] = frames
	return driver.Memory{Bytes: b[:bytes:bytes], FD: -1}, nil
}

// Free ends memory there and its mapping here.
func (f *Far) Free(m driver.Memory) error {
	s, err := f.find(m)
	if err != nil {
		return err
	}
	f.Device.mu.Lock()
	b := f.memory[s.ID]
	delete(f.memory, s.ID)
	f.Device.mu.Unlock()
	if err := unmap(b); err != nil {
		return err
	}
	return f.do(context.Background(), "FreeFile", []any{s.ID})
}

// RegMR registers memory that Alloc returned, or a part of it. From then on its
// pages stay where they are: elsewhere than when they were mapped is an error.
func (f *Far) RegMR(pd driver.PD, m driver.Memory, iova uint64, a driver.Access) (driver.MRInfo, error) {
	info, err := f.Device.RegMR(pd, m, iova, a)
	if err != nil {
		return info, err
	}
	s, err := f.find(m)
	if err != nil {
		return info, err
	}
	var now []uint64
	if err := f.do(context.Background(), "PagesOf", []any{s.ID}, &now); err != nil {
		return info, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(now, f.frames[s.ID]) && !f.killed() {
		return info, fmt.Errorf("register memory of another machine: its pages have moved since they were mapped")
	}
	return info, nil
}

// channel is a completion channel there: a goroutine waits at it, an eventfd is
// readable here.
type channel struct {
	fd    int
	stop  context.CancelFunc
	ended chan struct{}

	mu     sync.Mutex
	events []driver.CQ
	err    error
}

// CreateChannel returns an eventfd.
func (f *Far) CreateChannel() (driver.Channel, int, error) {
	var h driver.Channel
	if err := f.do(context.Background(), "OpenChannel", nil, &h); err != nil {
		return 0, -1, err
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return 0, -1, err
	}
	ctx, stop := context.WithCancel(context.Background())
	ch := &channel{fd: fd, stop: stop, ended: make(chan struct{})}
	f.mu.Lock()
	f.channels[h] = ch
	f.mu.Unlock()
	go ch.listen(ctx, f.Device, h)
	return h, fd, nil
}

func (ch *channel) listen(ctx context.Context, d *Device, h driver.Channel) {
	defer close(ch.ended)
	for ctx.Err() == nil && !d.killed() {
		var cq driver.CQ
		err := d.do(ctx, "WaitChannel", []any{h}, &cq)
		if ctx.Err() != nil {
			return
		}
		ch.mu.Lock()
		if ch.err = err; err == nil && cq != 0 {
			ch.events = append(ch.events, cq)
		}
		unix.Write(ch.fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		ch.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// NextCQ takes an event that has come from there.
func (f *Far) NextCQ(h driver.Channel) (driver.CQ, error) {
	f.mu.Lock()
	ch := f.channels[h]
	f.mu.Unlock()
	if ch == nil {
		return 0, driver.ErrInvalid
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if len(ch.events) > 0 {
		cq := ch.events[0]
		ch.events = ch.events[1:]
		return cq, nil
	}
	if ch.err == nil {
		var count [8]byte
		unix.Read(ch.fd, count[:]) // nothing is left: not readable any more
	}
	return 0, ch.err
}

// DestroyChannel ends it on both machines.
func (f *Far) DestroyChannel(h driver.Channel) error {
	f.mu.Lock()
	ch := f.channels[h]
	delete(f.channels, h)
	f.mu.Unlock()
	if ch == nil {
		return driver.ErrInvalid
	}
	ch.stop()
	<-ch.ended
	unix.Close(ch.fd)
	return f.do(context.Background(), "DestroyChannel", []any{h})
}
