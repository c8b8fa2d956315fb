// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// input is the standard input: of all nodes, each from its beginning, or of node 0
// alone if it is a terminal or another device.
type input struct {
	path   string
	device *os.File
}

// sayAfter is how long an input may take that nobody has ended.
const sayAfter = 2 * time.Second

// copied has the input in a file of its own, unless it is a device: programs that
// read parameters do so on all nodes, and again after a restart.
func copied(in io.Reader, path string, log *slog.Logger) (input, error) {
	late := time.AfterFunc(sayAfter, func() {
		log.Warn("waits for the end of the standard input, which all nodes are to have: </dev/null is none")
	})
	defer late.Stop()
	if f, ok := in.(*os.File); ok {
		st, err := f.Stat()
		if err != nil || st.Mode()&os.ModeCharDevice != 0 {
			return input{device: f}, nil
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return input{}, err
	}
	_, err = io.Copy(f, in)
	return input{path: path}, errors.Join(err, f.Close())
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
