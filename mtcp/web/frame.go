// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bufio"
	"bytes"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// part is where in a request a frame is.
type part int

const (
	inHead part = iota
	inBody
	inChunkLine
	inChunk
	behindChunk
	inTrailer
	over // of the request; what follows is the next one
	raw  // not HTTP/1: there are no requests any more
)

// frame finds the end of a request in what a client sends. What it does not
// understand the server will refuse, and close the connection.
type frame struct {
	part  part
	head  []byte
	line  []byte // in lines: what they have so far, without CR
	left  int64  // of a body, or of a chunk
	begun bool   // empty lines before a request do not count (RFC 9112 2.2)
}

// most is how many bytes can be read that surely are of this request.
func (f *frame) most() int {
	switch f.part {
	case inBody, inChunk, behindChunk:
		return int(min(f.left, math.MaxInt32))
	case over:
		return 0
	case raw:
		return math.MaxInt32
	}
	return 1
}

// advance passes over the bytes of b that belong to the request, and returns
// how many those are.
func (f *frame) advance(b []byte) (n int) {
	for n < len(b) && f.part != over {
		switch f.part {
		case raw:
			return len(b)
		case inBody, inChunk, behindChunk:
			k := min(f.left, int64(len(b)-n))
			n += int(k)
			if f.left -= k; f.left == 0 {
				f.endOfData()
			}
		default:
			f.char(b[n])
			n++
		}
	}
	return n
}

func (f *frame) endOfData() {
	switch f.part {
	case inBody:
		f.part = over
	case inChunk:
		f.part, f.left = behindChunk, 2
	default:
		f.part = inChunkLine
	}
}

// char passes over a byte of a line.
func (f *frame) char(b byte) {
	if f.part == inHead && (f.begun || b != '\r' && b != '\n') {
		f.begun = true
		f.head = append(f.head, b)
	}
	switch {
	case b == '\n':
		f.endOfLine(string(f.line))
		f.line = f.line[:0]
	case b != '\r' && len(f.line) < 64: // only their beginnings count
		f.line = append(f.line, b)
	}
}

func (f *frame) endOfLine(line string) {
	switch f.part {
	case inHead:
		if line == "" && f.begun {
			f.endOfHead()
		}
	case inChunkLine:
		digits, _, _ := strings.Cut(line, ";")
		size, err := strconv.ParseUint(strings.TrimRight(digits, " \t"), 16, 63)
		switch {
		case err != nil:
			f.part = raw
		case size == 0:
			f.part = inTrailer
		default:
			f.part, f.left = inChunk, int64(size)
		}
	case inTrailer:
		if line == "" {
			f.part = over
		}
	}
}

// endOfHead asks net/http what it will make of the head.
func (f *frame) endOfHead() {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(f.head)))
	f.head = nil
	switch {
	case err != nil || r.ProtoMajor != 1:
		f.part = raw
	case len(r.TransferEncoding) > 0:
		f.part = inChunkLine
	case r.ContentLength > 0:
		f.part, f.left = inBody, r.ContentLength
	default:
		f.part = over
	}
}
