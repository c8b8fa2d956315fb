// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
)

// longest is where a line that does not end is cut.
const longest = 64 << 10

// labeled writes whole lines, each with its node before it.
type labeled struct {
	to   io.Writer
	node int
	rest []byte // of a line that has not ended
}

func (l *labeled) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 && len(l.rest) < longest {
			return len(b), nil
		}
		if i < 0 {
			i = len(l.rest) - 1
		}
		if err := l.line(l.rest[:i+1]); err != nil {
			return 0, err
		}
		l.rest = l.rest[i+1:]
	}
}

// line is one call of Write, so that lines of nodes do not mix.
func (l *labeled) line(b []byte) error {
	_, err := l.to.Write(append(fmt.Appendf(nil, "[%d] ", l.node), b...))
	return err
}

// end writes what no newline has ended.
func (l *labeled) end() {
	if len(l.rest) > 0 {
		_ = l.line(append(l.rest, '\n'))
	}
}
