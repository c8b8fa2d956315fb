// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"reflect"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/internal/leash"
	"lazystate/internal/unixsock"
	"lazystate/verbs/driver"
)

// client is the calling side.
type client struct {
	from  io.Reader
	files *net.UnixConn // nil: to another machine
	stop  func() error  // ends the process

	mu    sync.Mutex // all below
	enc   *gob.Encoder
	last  uint64
	calls map[uint64]chan *reply
	ended bool
	dead  bool // killed on purpose: calls do nothing
}

// start runs this program again, to serve the device of url.
func start(url string) (*client, error) {
	calls, err := pair(unix.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	files, err := pair(unix.SOCK_SEQPACKET)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), urlVar+"="+url)
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{calls[1], files[1]}
	wait, err := leash.Start(cmd, unix.SIGKILL)
	calls[1].Close()
	files[1].Close()
	if err != nil {
		return nil, fmt.Errorf("start a process for %s: %w", url, err)
	}
	sock, err := net.FileConn(calls[0])
	if err != nil {
		return nil, err
	}
	f, err := net.FileConn(files[0])
	if err != nil {
		return nil, err
	}
	calls[0].Close()
	files[0].Close()
	return newClient(sock, sock, f.(*net.UnixConn), func() error {
		err := cmd.Process.Kill()
		_ = wait() // says that it was killed
		sock.Close()
		f.Close()
		return err
	}), nil
}

func newClient(to io.Writer, from io.Reader, files *net.UnixConn, stop func() error) *client {
	c := &client{from: from, files: files, stop: stop, enc: gob.NewEncoder(to), calls: map[uint64]chan *reply{}}
	go c.read()
	return c
}

func pair(typ int) ([2]*os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return [2]*os.File{}, fmt.Errorf("socketpair: %w", err)
	}
	return [2]*os.File{os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")}, nil
}

// read hands replies to who waits for them.
func (c *client) read() {
	dec := gob.NewDecoder(c.from)
	for {
		r := &reply{}
		if err := dec.Decode(r); err != nil {
			break
		}
		c.mu.Lock()
		ch := c.calls[r.ID]
		delete(c.calls, r.ID)
		c.mu.Unlock()
		ch <- r
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for _, ch := range c.calls {
		close(ch)
	}
	clear(c.calls)
}

// do calls a method of host and stores its results; a *file among them is
// received apart.
func (c *client) do(ctx context.Context, method string, args []any, results ...any) error {
	c.mu.Lock()
	if c.dead {
		c.mu.Unlock()
		return nil
	}
	if c.ended {
		c.mu.Unlock()
		return fmt.Errorf("%s: the device's process has ended: %w", method, driver.ErrClosed)
	}
	for i, a := range args {
		if v := reflect.ValueOf(a); v.Kind() == reflect.Pointer {
			args[i] = v.Elem().Interface()
		}
	}
	c.last++
	id, ch := c.last, make(chan *reply, 1)
	c.calls[id] = ch
	err := c.enc.Encode(&request{ID: id, Method: method, Args: args})
	c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	defer context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.enc.Encode(&request{ID: id, Cancel: true})
	})()
	r, ok := <-ch
	switch {
	case !ok && c.killed():
		return nil
	case !ok:
		return fmt.Errorf("%s: the device's process has ended: %w", method, driver.ErrClosed)
	}
	return c.store(r, results, ctx)
}

func (c *client) killed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

func (c *client) store(r *reply, results []any, ctx context.Context) error {
	for i, p := range results {
		if f, ok := p.(*file); ok {
			if r.Err == nil {
				fd, err := c.receive()
				if err != nil {
					return err
				}
				*f = file(fd)
			}
			continue
		}
		reflect.ValueOf(p).Elem().Set(reflect.ValueOf(r.Results[i]))
	}
	if r.Err == nil {
		return nil
	}
	if ctx.Err() != nil && r.Err.Unwrap() == context.Canceled {
		return ctx.Err() // over there every end of a context is a cancellation
	}
	return r.Err
}

// receive takes the next descriptor. Calls that bring one are not made at once.
func (c *client) receive() (int, error) {
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := c.files.ReadMsgUnix(make([]byte, 1), oob)
	if err != nil {
		return -1, fmt.Errorf("receive a file: %w", err)
	}
	fds, err := unixsock.Rights(oob[:n])
	if err == nil && len(fds) != 1 {
		unixsock.Close(fds)
		err = fmt.Errorf("receive a file: %d came", len(fds))
	}
	if err != nil {
		return -1, err
	}
	return fds[0], nil
}

// end kills the process and waits for it.
func (c *client) end() error {
	c.mu.Lock()
	c.dead = true
	c.mu.Unlock()
	return c.stop()
}

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
