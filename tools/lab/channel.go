// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"lazystate/tools/lab/wire"
)

// channel multiplexes requests over one connection to guestinit, or to the
// proxy of the process that owns the VM: both speak the same frames.
type channel struct {
	conn net.Conn
	w    *wire.Writer

	mu    sync.Mutex
	next  uint32
	calls map[uint32]*frameQueue
	hello *wire.Hello
	raw   []byte        // hello as it came
	first chan struct{} // closed by the first Hello
	ready chan struct{} // closed by the next Hello
	err   error         // why the connection ended
	ended chan struct{} // closed once err is set
}

func newChannel(conn net.Conn) *channel {
	c := &channel{
		conn: conn, w: wire.NewWriter(conn), calls: map[uint32]*frameQueue{},
		ready: make(chan struct{}), ended: make(chan struct{}),
	}
	c.first = c.ready
	go c.read()
	return c
}

func (c *channel) read() {
	r := wire.NewReader(c.conn)
	for {
		f, err := r.Next()
		if err != nil {
			c.fail(err)
			return
		}
		c.mu.Lock()
		if f.Kind == wire.KindHello {
			c.greet(f.Body)
		} else if q := c.calls[f.ID]; q != nil {
			q.push(f)
		}
		c.mu.Unlock()
	}
}

// greet notes a new boot: whatever the former one was asked will not be answered.
func (c *channel) greet(body []byte) {
	h, err := decodeHello(body)
	if err != nil {
		return
	}
	for _, q := range c.calls {
		q.end(ErrRebooted)
	}
	clear(c.calls)
	c.hello, c.raw = h, body
	close(c.ready)
	c.ready = make(chan struct{})
}

func (c *channel) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		err = ErrGone
	}
	c.err = err
	close(c.ended)
	for _, q := range c.calls {
		q.end(err)
	}
	clear(c.calls)
}

func (c *channel) close() error { return c.conn.Close() }

func (c *channel) firstHello() <-chan struct{} { return c.first }

// nextHello returns a channel closed by the next boot.
func (c *channel) nextHello() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ready
}

func (c *channel) lastHello() (*wire.Hello, []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hello, c.raw
}

// open registers a new id.
func (c *channel) open() (uint32, *frameQueue, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, nil, c.err
	}
	c.next++
	q := newFrameQueue()
	c.calls[c.next] = q
	return c.next, q, nil
}

func (c *channel) forget(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.calls, id)
}

// do sends a request and waits for its reply; stdin, stdout and stderr may be nil.
func (c *channel) do(ctx context.Context, req wire.Request, stdin io.Reader, stdout, stderr io.Writer) (wire.Reply, error) {
	id, q, err := c.open()
	if err != nil {
		return wire.Reply{}, err
	}
	defer c.forget(id)
	if err := c.w.WriteJSON(wire.KindRequest, id, req); err != nil {
		return wire.Reply{}, fmt.Errorf("%s: %w", req.Op, err)
	}
	stop := context.AfterFunc(ctx, func() { q.end(ctx.Err()) })
	defer stop()
	in := newInput(c.w, id, q)
	if stdin != nil {
		go in.copy(stdin)
		defer in.stop()
	}
	reply, err := q.consume(in, sink(stdout), sink(stderr))
	if err != nil {
		c.w.Write(wire.Frame{Kind: wire.KindCancel, ID: id})
		return reply, fmt.Errorf("%s: %w", req.Op, err)
	}
	return reply, replyError(req.Op, reply)
}

func sink(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}
