// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"lazystate/tools/lab/wire"
)

var errCancelled = errors.New("cancelled by the host")

// put writes what comes on stdin. A regular file appears whole or not at all;
// anything that exists and is none (a device, a file of /proc) is written in place.
func (c *call) put() error {
	c.s.blocking <- struct{}{}
	defer func() { <-c.s.blocking }()
	if st, err := os.Stat(c.req.Path); err == nil && !st.Mode().IsRegular() || inPseudo(c.req.Path) {
		return c.putInto(c.req.Path, os.O_WRONLY)
	}
	if err := os.MkdirAll(filepath.Dir(c.req.Path), 0o755); err != nil {
		return err
	}
	part := c.req.Path + ".part"
	if err := c.putInto(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC); err != nil {
		os.Remove(part)
		return err
	}
	return os.Rename(part, c.req.Path)
}

func inPseudo(path string) bool {
	for dir := filepath.Clean(path); dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if dir == "/proc" || dir == "/sys" {
			return true
		}
	}
	return false
}

func (c *call) putInto(path string, flags int) error {
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		select {
		case b := <-c.stdin:
			if len(b) == 0 {
				if flags&os.O_CREATE != 0 {
					if err := f.Chmod(os.FileMode(c.req.Mode)); err != nil {
						return err
					}
				}
				return f.Close()
			}
			if _, err := f.Write(b); err != nil {
				return err
			}
			c.credit()
		case <-c.cancel:
			return errCancelled
		}
	}
}

func (c *call) credit() { c.s.out.Write(wire.Frame{Kind: wire.KindCredit, ID: c.id}) }

func (c *call) get() error {
	f, err := os.Open(c.req.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	return c.stream(f, wire.KindStdout)
}

// stream copies r to the host until its end or until the host cancels.
func (c *call) stream(r io.Reader, k wire.Kind) error {
	buf := make([]byte, wire.MaxBody)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if werr := c.s.out.Write(wire.Frame{Kind: k, ID: c.id, Body: buf[:n]}); werr != nil {
				return werr
			}
		}
		if err != nil {
			return ignoreEOF(err)
		}
		select {
		case <-c.cancel:
			return errCancelled
		default:
		}
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
