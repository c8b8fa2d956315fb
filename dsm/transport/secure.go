// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"lazystate/internal/identity"
)

// alpn is what both ends must mean.
const alpn = "lazystate-dsm/1"

// conn is a conduit with what is done to the bytes on it.
type conn struct {
	raw  *pulse
	in   *bufio.Reader
	tls  *tls.Conn // nil: they go as they are
	feed *feed
	bind []byte // what the proofs are bound to
}

func plain(raw *pulse, in io.Reader) *conn {
	return &conn{raw: raw, in: bufio.NewReaderSize(in, 64<<10)}
}

// seal returns what goes onto the wire for b.
func (c *conn) seal(b []byte) ([]byte, error) {
	if c.tls == nil {
		return b, nil
	}
	if _, err := c.tls.Write(b); err != nil {
		return nil, err
	}
	return c.feed.take(), nil
}

// feed is the connection that TLS sees: what it writes is kept until somebody may
// write it, once hands have been shaken.
type feed struct {
	raw   io.ReadWriter
	mu    sync.Mutex
	keeps bool
	out   []byte
}

func (f *feed) Read(b []byte) (int, error) { return f.raw.Read(b) }

func (f *feed) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.keeps {
		return f.raw.Write(b)
	}
	f.out = append(f.out, b...)
	return len(b), nil
}

// take returns what was written since the last call.
func (f *feed) take() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.out
	f.out = nil
	return b
}

func (f *feed) keep() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keeps = true
}

func (*feed) Close() error                     { return nil }
func (*feed) LocalAddr() net.Addr              { return nil }
func (*feed) RemoteAddr() net.Addr             { return nil }
func (*feed) SetDeadline(time.Time) error      { return nil }
func (*feed) SetReadDeadline(time.Time) error  { return nil }
func (*feed) SetWriteDeadline(time.Time) error { return nil }

// readWriter reads what was looked at again.
type readWriter struct {
	io.Reader
	io.Writer
}

// secure is TLS over a conduit. Whose certificate the other shows is all the same:
// the proofs that follow are bound to this very connection.
func secure(raw *pulse, in io.Reader, id *identity.Identity, dials bool) (*conn, error) {
	conf := id.TLS(alpn, func(identity.PublicKey) error { return nil })
	f := &feed{raw: readWriter{in, raw}}
	t := tls.Server(f, conf)
	if dials {
		t = tls.Client(f, conf)
	}
	if err := t.Handshake(); err != nil {
		return nil, err
	}
	state := t.ConnectionState()
	bind, err := state.ExportKeyingMaterial(alpn, nil, 32)
	if err != nil {
		return nil, err
	}
	f.keep()
	c := plain(raw, t)
	c.tls, c.feed, c.bind = t, f, bind
	return c, nil
}

// Read and Write are for the hellos.
func (c *conn) Read(b []byte) (int, error) { return c.in.Read(b) }

func (c *conn) Write(b []byte) (int, error) {
	sealed, err := c.seal(b)
	if err != nil {
		return 0, err
	}
	_, err = c.raw.Write(sealed)
	return len(b), err
}

// local is true for an address that only this host's processes have.
func local(a net.Addr) bool {
	if a.Network() == "unix" {
		return true
	}
	ap, err := netip.ParseAddrPort(a.String())
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

// tlsRecord is the first byte of a connection that begins with TLS.
const tlsRecord = 22

// errPlain is a connection from elsewhere that does not begin with TLS.
var errPlain = errors.New("it does not speak TLS")

// accepted finds out what the dialer speaks.
func accepted(raw *pulse, from net.Addr, id *identity.Identity) (*conn, error) {
	in := bufio.NewReaderSize(raw, 4096)
	first, err := in.Peek(1)
	switch {
	case err != nil:
		return nil, err
	case first[0] == tlsRecord:
		return secure(raw, in, id, false)
	case !local(from):
		return nil, fmt.Errorf("from %v: %w", from, errPlain)
	}
	return plain(raw, in), nil
}
