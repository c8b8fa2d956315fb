// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func pattern(n, seed int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte((i+seed)*7>>3) ^ byte(i>>11)
	}
	return b
}

// site has what a web server may be asked for; calls counts handlers that ran.
func site(t *testing.T, calls *atomic.Int32) (http.Handler, []byte) {
	dir := t.TempDir()
	file := pattern(1<<20, 0)
	if err := os.WriteFile(filepath.Join(dir, "file.bin"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/static/", http.StripPrefix("/static/", http.FileServer(http.Dir(dir))))
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { // chunked
		b, err := io.ReadAll(r.Body)
		if err == nil {
			_, err = w.Write(b)
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	})
	mux.HandleFunc("/once", func(w http.ResponseWriter, r *http.Request) {
		for range 5 {
			v, err := Once(r, draw)
			if err != nil { // another process has the session
				panic(http.ErrAbortHandler)
			}
			_, _ = w.Write(bytes.Repeat(v, 200)) // repeated, so that two draws are seen
			_ = http.NewResponseController(w).Flush()
		}
	})
	mux.Handle("/held", Hold(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := draw()
		for range 1000 {
			_, _ = w.Write(v)
		}
	})))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if c := From(r.Context()); c != nil {
			w.Header().Set("Begins", strconv.FormatUint(c.Begins(), 10))
		}
		mux.ServeHTTP(w, r)
	}), file
}

func draw() []byte {
	b := make([]byte, 8)
	_, _ = rand.Read(b)
	return []byte(hex.EncodeToString(b))
}

// ask is a request, and check what its answer has to be.
type ask struct {
	text  string
	check func(body []byte) error
}

func asks(rng *mrand.Rand, file []byte) ask {
	switch rng.IntN(6) {
	case 0:
		return ask{"GET /static/file.bin HTTP/1.1\r\nHost: a\r\n\r\n", func(b []byte) error { return same(b, file) }}
	case 1:
		from := rng.IntN(len(file))
		return ask{fmt.Sprintf("GET /static/file.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=%d-\r\n\r\n", from), func(b []byte) error { return same(b, file[from:]) }}
	case 2:
		body := pattern(rng.IntN(100000), 1)
		return ask{"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + string(body), func(b []byte) error { return same(b, body) }}
	case 3:
		body := pattern(1+rng.IntN(100000), 2)
		return ask{"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(rng, body) + "0\r\n\r\n", func(b []byte) error { return same(b, body) }}
	case 4:
		return ask{"GET /once HTTP/1.1\r\nHost: a\r\n\r\n", func(b []byte) error { return repeats(b, 3200) }}
	}
	return ask{"GET /held HTTP/1.1\r\nHost: a\r\n\r\n", func(b []byte) error { return repeats(b, 16000) }}
}

func same(got, want []byte) error {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			at := bytes.Index(want, got[i:min(len(got), i+64)])
			return fmt.Errorf("byte %d of %d is another: what follows is at %d", i, len(want), at)
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d bytes, not %d", len(got), len(want))
	}
	return nil
}

// repeats: each n of 16000 bytes say the same 16 again and again.
func repeats(b []byte, n int) error {
	if len(b) != 16000 {
		return fmt.Errorf("%d bytes, not 16000", len(b))
	}
	for ; len(b) > 0; b = b[n:] {
		if err := same(b[:n], bytes.Repeat(b[:16], n/16)); err != nil {
			return err
		}
	}
	return nil
}

func chunks(rng *mrand.Rand, b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		n := min(len(b), 1+rng.IntN(5000))
		fmt.Fprintf(&out, "%x\r\n%s\r\n", n, b[:n])
		b = b[n:]
	}
	return out.String()
}

// Servers take a session from one another at any instant; the client sees one,
// that answers each of its requests once, pipelined or not.
func TestRequestsAcrossDeaths(t *testing.T) {
	var calls atomic.Int32
	h, file := site(t, &calls)
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := mrand.New(mrand.NewPCG(seed, 7))
			k := keep(t, h, Boxes())
			all := make([]ask, 40)
			for i := range all {
				all[i] = asks(rng, file)
			}
			pipelined := seed%2 == 1
			sent := make(chan int, len(all)) // answers that have come
			go send(k.client, all, pipelined, sent)
			done := make(chan struct{})
			go func() {
				defer close(done)
				readAll(t, &dying{k: k, rng: mrand.New(mrand.NewPCG(seed, 8))}, all, sent)
			}()
			k.serve()
			const enough = 300 // where a server comes to nothing in a few ms, those that the client's reads bring get on
			for n := 0; ; n++ {
				var next <-chan time.Time
				if n < enough {
					next = time.After(time.Duration(rng.IntN(4000)) * time.Microsecond)
				}
				select {
				case <-done:
					t.Logf("%d servers, and %d handlers of %d requests so far", len(k.servers), calls.Load(), len(all))
					return
				case <-next:
					k.serve()
				}
			}
		})
	}
}

func send(w io.Writer, all []ask, pipelined bool, answered <-chan int) {
	for i, a := range all {
		if _, err := io.WriteString(w, a.text); err != nil {
			return
		}
		if !pipelined || i%5 == 4 {
			for n := range answered {
				if n == i {
					break
				}
			}
		}
	}
}

// dying reads what the client gets; now and then the server is replaced first.
type dying struct {
	k    *kept
	rng  *mrand.Rand
	left int
}

func (d *dying) Read(p []byte) (int, error) {
	if d.left == 0 {
		d.k.serve()
		d.left = 1 + d.rng.IntN(300000)
	}
	n, err := d.k.client.Read(p[:min(len(p), d.left)])
	d.left -= n
	return n, err
}

func readAll(t *testing.T, src io.Reader, all []ask, answered chan<- int) {
	r := bufio.NewReader(src)
	begins := 0
	for i, a := range all {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Errorf("answer %d to %.40q: %v", i, a.text, err)
			return
		}
		body, err := io.ReadAll(resp.Body)
		if err == nil {
			err = a.check(body)
		}
		if err != nil {
			t.Errorf("answer %d to %.40q: %d bytes, %v", i, a.text, len(body), err)
			return
		}
		if _, err := http.ParseTime(resp.Header.Get("Date")); err != nil {
			t.Error(err)
		}
		if got := resp.Header.Get("Begins"); got != strconv.Itoa(begins) {
			t.Errorf("request %d begins at %s, not %d", i, got, begins)
		}
		begins += len(a.text)
		answered <- i
	}
}
