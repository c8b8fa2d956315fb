// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"lazystate/tools/lab/wire"
)

// server reads frames and runs one goroutine a request.
type server struct {
	in       *wire.Reader
	out      *wire.Writer
	children *reaper

	mu   sync.Mutex
	open map[uint32]*call

	blocking chan struct{} // slots for handlers that may hold a thread
}

// call is one request under way.
type call struct {
	s      *server
	id     uint32
	req    wire.Request
	stdin  chan []byte // an empty chunk ends the stream
	cancel chan struct{}
	once   sync.Once
}

func newServer(port *os.File, children *reaper) *server {
	return &server{
		in: wire.NewReader(port), out: wire.NewWriter(port), children: children,
		open: map[uint32]*call{}, blocking: make(chan struct{}, spareThreads-8),
	}
}

func (s *server) hello(bootErr error) {
	h := wire.Hello{BootID: readLine("/proc/sys/kernel/random/boot_id"), Release: readLine("/proc/sys/kernel/osrelease")}
	if bootErr != nil {
		h.Err = bootErr.Error()
		complain("set-up", bootErr)
	}
	if err := s.out.Preamble(); err != nil {
		complain("preamble", err)
	}
	if err := s.out.WriteJSON(wire.KindHello, 0, h); err != nil {
		complain("hello", err)
	}
}

func (s *server) serve() error {
	for {
		f, err := s.in.Next()
		if err != nil {
			return err
		}
		s.dispatch(f)
	}
}

func (s *server) dispatch(f wire.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.open[f.ID]
	switch {
	case f.Kind == wire.KindRequest && c == nil:
		c = &call{s: s, id: f.ID, stdin: make(chan []byte, wire.StdinWindow+1), cancel: make(chan struct{})}
		s.open[f.ID] = c
		go c.run(f.Body)
	case c == nil: // answered already, or sent to the guest's former life
	case f.Kind == wire.KindStdin:
		select {
		case c.stdin <- f.Body:
		default: // more than the window: the host is at fault, and memory is not ours to give
			c.stop()
		}
	case f.Kind == wire.KindCancel:
		c.stop()
	}
}

func (c *call) stop() { c.once.Do(func() { close(c.cancel) }) }

func (c *call) run(body []byte) {
	var reply wire.Reply
	err := json.Unmarshal(body, &c.req)
	if err == nil {
		reply, err = c.handle()
	}
	if err != nil {
		reply.Error = err.Error()
		var errno unix.Errno
		if errors.As(err, &errno) {
			reply.Errno = int(errno)
		}
	}
	c.s.mu.Lock()
	delete(c.s.open, c.id)
	c.s.mu.Unlock()
	c.s.reply(c.id, reply)
	collect()
}

// reply sends a text too long for one frame as stdout frames before it.
func (s *server) reply(id uint32, r wire.Reply) {
	const most = wire.MaxBody / 2 // JSON may escape
	for len(r.Text) > most {
		if s.out.Write(wire.Frame{Kind: wire.KindStdout, ID: id, Body: []byte(r.Text[:most])}) != nil {
			return
		}
		r.Text = r.Text[most:]
	}
	if err := s.out.WriteJSON(wire.KindReply, id, r); err != nil {
		complain("reply", err)
	}
}

func readLine(path string) string {
	b, _ := os.ReadFile(path)
	return strings.TrimSpace(string(b))
}
