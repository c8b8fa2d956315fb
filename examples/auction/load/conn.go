// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// conn is a browser's connection.
type conn struct {
	net.Conn
	r    *bufio.Reader
	read int // bytes
}

func newConn(c net.Conn) *conn {
	out := &conn{Conn: c}
	out.r = bufio.NewReader(counting{out})
	return out
}

type counting struct{ c *conn }

func (r counting) Read(p []byte) (int, error) {
	n, err := r.c.Conn.Read(p)
	r.c.read += n
	return n, err
}

// told is what replies say, of any kind.
type told struct {
	Result  json.RawMessage `json:"result"`
	Refused string          `json:"refused"`
}

// ask sends a request once, and checks the reply.
func (c *conn) ask(e *Event, q ask, most time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(most)); err != nil {
		return err
	}
	before, body := c.read, q.args.Encode()
	_, err := fmt.Fprintf(c.Conn, "POST /api/%s HTTP/1.1\r\nHost: auction\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", q.kind, len(body), body)
	if err != nil {
		return err
	}
	if _, err := c.r.Peek(1); err != nil {
		return err
	}
	e.First = time.Now()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	e.Done, e.Bytes, e.Request = time.Now(), c.read-before, resp.Header.Get("Request-Id")
	return e.hear(q, resp.Status, text)
}

// hear checks a reply.
func (e *Event) hear(q ask, status string, text []byte) error {
	var t told
	if err := json.Unmarshal(text, &t); err != nil {
		return fmt.Errorf("%s: %q: %w", status, text, err)
	}
	if t.Refused != "" && q.refusable {
		e.Refused = true
		return nil
	}
	if t.Result == nil {
		return fmt.Errorf("%s to %s of %s: %.200s", status, q.kind, q.args.Encode(), text)
	}
	id, err := q.check(t.Result)
	if err != nil {
		return fmt.Errorf("reply to %s of %s: %.200s: %w", q.kind, q.args.Encode(), text, err)
	}
	e.ID = id
	return nil
}

// ask is a request, and what its reply has to be.
type ask struct {
	kind      string
	args      url.Values
	key       string
	refusable bool
	check     func(result json.RawMessage) (id int64, err error)
}
