// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"lazystate/mtcp/keeper/keepertest"
)

// browser is a client with one connection, as a browser's.
type browser struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func browse(t testing.TB, c net.Conn) *browser {
	t.Helper()
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(2 * keepertest.Hang)); err != nil {
		t.Fatal(err)
	}
	return &browser{c, t, bufio.NewReader(c)}
}

// ask sends a request; args are names and values.
func (b *browser) ask(kind string, args ...any) {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(args); i += 2 {
		form.Set(fmt.Sprint(args[i]), fmt.Sprint(args[i+1]))
	}
	body := form.Encode()
	if _, err := fmt.Fprintf(b, "POST /api/%s HTTP/1.1\r\nHost: auction\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", kind, len(body), body); err != nil {
		b.t.Fatal(err)
	}
}

// hear returns the next reply, and the id of its request.
func (b *browser) hear() (r reply, id string) {
	b.t.Helper()
	resp, err := http.ReadResponse(b.r, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil || !r.sound() {
		b.t.Fatalf("%s: %q: %v", resp.Status, text, err)
	}
	return r, resp.Header.Get("Request-Id")
}

// resultOf fills v from a reply.
func resultOf(t testing.TB, r reply, v any) {
	t.Helper()
	if r.Result == nil {
		t.Fatalf("no result: %+v", r)
	}
	if err := json.Unmarshal(r.Result, v); err != nil {
		t.Fatal(err)
	}
}

// do asks and hears.
func (b *browser) do(v any, kind string, args ...any) {
	b.t.Helper()
	b.ask(kind, args...)
	r, _ := b.hear()
	resultOf(b.t, r, v)
}

// session is the connection's, as its front end says, that no middle tier hears of.
func (b *browser) session() string {
	b.t.Helper()
	if _, err := io.WriteString(b, "GET /api/none?%zz HTTP/1.1\r\nHost: auction\r\n\r\n"); err != nil {
		b.t.Fatal(err)
	}
	resp, err := http.ReadResponse(b.r, nil)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	}
	if err != nil || resp.StatusCode != http.StatusBadRequest {
		b.t.Fatalf("%v: %v", resp, err)
	}
	session, _, ok := strings.Cut(resp.Header.Get("Request-Id"), ".")
	if !ok {
		b.t.Fatalf("a request's id is %q", resp.Header.Get("Request-Id"))
	}
	return session
}
