// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// An ordinary net/http server works over the boxes, keep-alive and uploads
// included, without knowing of them.
func TestNetHTTP(t *testing.T) {
	l, err := Listen(t.Context(), "tcp", "127.0.0.1:0", Config{LogWait: hang})
	if err != nil {
		t.Fatal(err)
	}
	type key struct{}
	srv := &http.Server{
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, key{}, c) },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := r.Context().Value(key{}).(*Conn)
			n := 0
			for b := make([]byte, 4096); ; {
				k, err := r.Body.Read(b)
				n += k
				if e := c.Export(fmt.Appendf(nil, "%s %d", r.URL.Path, n)); e != nil {
					t.Error(e)
				}
				if err != nil {
					break
				}
			}
			fmt.Fprintf(w, "%s got %d", r.URL.Path, n)
		}),
	}
	go srv.Serve(l)
	defer srv.Close()
	client := &http.Client{Timeout: hang}
	defer client.CloseIdleConnections()
	for i, size := range []int{0, 10, 100000, 3} {
		resp, err := client.Post(fmt.Sprintf("http://%s/%d", l.Addr(), i), "text/plain", strings.NewReader(strings.Repeat("x", size)))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := fmt.Sprintf("/%d got %d", i, size); err != nil || string(body) != want {
			t.Errorf("got %q, %v, want %q", body, err, want)
		}
	}
}

// A request that a dead server was answering is answered by the next one: it
// reads the request again, and repeats the part of the answer that is out.
func TestNetHTTPAcrossADeath(t *testing.T) {
	client, c := accepted(t, Config{})
	serve := func(c net.Conn, most int) {
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Date"] = nil // the one thing in the answer that is not deterministic
			w.Header().Set("Content-Length", "100000")
			for i := range 100 {
				if i == most {
					w.(http.Flusher).Flush()
					select {} // it hangs, for good
				}
				_, _ = w.Write(pattern(i*1000, 1000))
			}
		})}
		go srv.Serve(&oneConn{c: c})
	}
	serve(c, 37)
	if _, err := io.WriteString(client, "GET /file HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(client)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 30000)
	if _, err := io.ReadFull(resp.Body, got); err != nil {
		t.Fatal(err)
	}
	serve(again(t, c, Config{}), -1)
	rest, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	for i := range 100 {
		want = append(want, pattern(i*1000, 1000)...)
	}
	same(t, append(got, rest...), want)
}

// oneConn is a listener with one connection.
type oneConn struct {
	c net.Conn
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.c; c != nil {
		l.c = nil
		return c, nil
	}
	time.Sleep(hang)
	return nil, net.ErrClosed
}
func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }
