// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
)

// What a frame takes for the end of a request is what net/http takes for it.
func FuzzFrame(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"\r\n\r\nGET / HTTP/1.1\nHost: a\n\nGET /2 HTTP/1.0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\nC: d\r\n\r\nx",
		"GET / HTTP/1.1\r\nHost: a\r\nX: " + string(bytes.Repeat([]byte("y"), 5000)) + "\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"nonsense\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
	} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		var fr frame
		n := 0
		for n < len(b) && fr.part != over && fr.part != raw {
			piece := b[n:min(len(b), n+1+int(step))]
			if sure := fr.most(); len(piece) >= sure && fr.advance(piece[:sure]) != sure {
				t.Fatalf("it is not sure of %d bytes at %d", sure, n)
			} else if len(piece) >= sure {
				n += sure
				continue
			}
			n += fr.advance(piece)
		}
		if fr.part == over {
			if want, err := length(b); err != nil || n != want {
				t.Errorf("request of %q: %d bytes, net/http says %d, %v", b, n, want, err)
			}
		}
	})
}

// length is how much of b net/http takes for a request.
func length(b []byte) (int, error) {
	b0 := len(b)
	b = bytes.TrimLeft(b, "\r\n")
	src := bytes.NewReader(b)
	r := bufio.NewReaderSize(src, 16)
	req, err := http.ReadRequest(r)
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(io.Discard, req.Body); err != nil && !errors.Is(err, http.ErrBodyReadAfterClose) {
		return 0, err
	}
	return b0 - src.Len() - r.Buffered(), nil
}

func TestFrameEnds(t *testing.T) {
	for _, c := range []struct {
		in, rest string
		part     part
	}{
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\nnext", "next", over},
		{"GET / HTTP/1.1\r\nHost: a\r\n", "", inHead},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcd", "d", over},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nnext", "next", over},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc", "", raw},
		{"GET / HTTP/1.1 and more\r\n\r\nnext", "", raw},
	} {
		var f frame
		n := f.advance([]byte(c.in))
		if f.part != c.part || c.in[n:] != c.rest {
			t.Errorf("%q: part %d, rest %q", c.in, f.part, c.in[n:])
		}
	}
}
