// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"

	"lazystate/internal/cli"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
)

const backName = "ttcp-back"

// serve leaves its sessions to the keeper when ctx ends.
func serve(ctx context.Context, cfg config) error {
	if cfg.processes < 1 || cfg.processes > 2 {
		return cli.Usagef("%d processes: one or two", cfg.processes)
	}
	l, k, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			go func() {
				_ = cfg.client(c, k) // its client is gone, or it is elsewhere
				_ = c.Close()
			}()
		}
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return nil
	}
}

func listen(ctx context.Context, cfg config) (net.Listener, *keeper.Client, error) {
	if cfg.base {
		l, err := net.Listen("tcp", cfg.listen)
		return l, nil, err
	}
	k, err := keeper.Dial(cfg.keeper, "ttcp")
	if err != nil {
		return nil, nil, err
	}
	boxes := cbox.Config{Snapshot: cfg.state, Processes: cfg.processes}
	if cfg.processes > 1 {
		boxes.Channels, boxes.Ring = cfg.channels, 64<<10
	}
	l, err := k.Listen(ctx, "tcp", cfg.listen, boxes)
	return l, k, err
}

// client serves one.
func (cfg config) client(c net.Conn, k *keeper.Client) error {
	s, ok := c.(*cbox.Conn)
	switch {
	case !ok && cfg.processes == 1:
		return cfg.stream(c, 0, base)
	case !ok:
		return cfg.piped(c)
	}
	p := cfg.place(s.Session)
	var from io.Reader
	if cfg.processes > 1 {
		child, err := s.Associate(backName, cfg.channels)
		if err == nil {
			err = k.Hand(s.Session, child)
		}
		if err != nil {
			return err
		}
		from = child.Channels[0]
	}
	switch {
	case cfg.idle:
		if err := p.export(); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, s)
		return err
	case from != nil:
		return p.forward(s, from)
	}
	return p.send(s)
}

// piped is the base server's second process: another one of this program.
func (cfg config) piped(c net.Conn) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe, "pipe", "--size", uitoa(cfg.size), "--write", uitoa(uint64(cfg.write)))
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{out}, make([]byte, cfg.write))
	_ = out.Close()
	return errors.Join(err, cmd.Wait())
}

// place is where a process is in the stream.
type place struct {
	config
	s       *cbox.Session
	pos     uint64
	padding []byte // of an eager snapshot
}

// place is that of the last snapshot.
func (cfg config) place(s *cbox.Session) *place {
	p := &place{config: cfg, s: s, padding: make([]byte, cfg.state)}
	if b, ok := s.Import(); ok && len(b) >= 8 {
		p.pos = min(binary.LittleEndian.Uint64(b), cfg.size)
	}
	return p
}

func (p *place) export() error {
	if p.lazy {
		binary.LittleEndian.PutUint64(p.s.Buffer(), p.pos)
		return p.s.Commit(p.state, false)
	}
	binary.LittleEndian.PutUint64(p.padding, p.pos)
	return p.s.ExportEager(p.padding)
}

// passed has n more bytes behind it.
func (p *place) passed(n int) error {
	before := p.pos
	p.pos += uint64(n)
	if p.config.export == 0 || before/p.config.export == p.pos/p.config.export {
		return nil
	}
	return p.export()
}

// send writes the stream.
func (p *place) send(w io.Writer) error { return p.stream(w, p.pos, p.passed) }

// forward writes what the second process does; at a snapshot all is forwarded
// that was read (§2.6.4).
func (p *place) forward(w io.Writer, r io.Reader) error {
	for b := make([]byte, p.write); ; {
		n, err := r.Read(b)
		if n > 0 {
			if _, err := w.Write(b[:n]); err != nil {
				return err
			}
			if err := p.passed(n); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
