// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// input is the standard input: of all nodes, each from its beginning, or of node 0
// alone if it is a terminal or another device.
type input struct {
	path   string
	device *os.File
}

// copied has the input in a file of its own, unless it is a device: programs that
// read parameters do so on all nodes, and again after a restart.
func copied(in io.Reader, dir string) (input, error) {
	if f, ok := in.(*os.File); ok {
		st, err := f.Stat()
		if err != nil || st.Mode()&os.ModeCharDevice != 0 {
			return input{device: f}, nil
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return input{}, err
	}
	path := filepath.Join(dir, "stdin")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return input{}, err
	}
	_, err = io.Copy(f, in)
	return input{path: path}, errors.Join(err, f.Close())
}

// open is a node's; nil is none.
func (in input) open(node int) (*os.File, error) {
	switch {
	case in.path != "":
		return os.Open(in.path)
	case node == 0 && in.device != nil:
		return os.Open("/dev/stdin")
	}
	return nil, nil
}

// shared is a writer for many: a file as it is, anything else one at a time.
func shared(to io.Writer) io.Writer {
	switch w := to.(type) {
	case *os.File:
		return w
	case *oneByOne:
		return w
	}
	return &oneByOne{to: to}
}

type oneByOne struct {
	mu sync.Mutex
	to io.Writer
}

func (o *oneByOne) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.to.Write(b)
}
