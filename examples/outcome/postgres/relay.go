// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
)

// Socket is what PostgreSQL's clients look for in a folder.
const Socket = ".s.PGSQL.5432"

// Relay brings whoever connects to l to the cluster, as a network does that drops
// everything when a machine is gone: PostgreSQL is not told that a client has hung up.
// look sees what clients send, before PostgreSQL does; nil: nobody looks. done closes
// l and all that came of it.
func (c *Cluster) Relay(l net.Listener, look func([]byte)) (done func()) {
	r := &relay{socket: filepath.Join(c.Dir, Socket), look: look}
	go r.accept(l)
	return func() {
		_ = l.Close()
		r.close()
	}
}

// Through is how clients say that they connect by a relay's address: a folder that has
// Socket, or host and port.
func (c *Cluster) Through(dsn string, at net.Addr) string {
	to := "host=" + filepath.Dir(at.String())
	if tcp, ok := at.(*net.TCPAddr); ok {
		to = fmt.Sprintf("host=%s port=%d", tcp.IP, tcp.Port)
	}
	return strings.Replace(dsn, "host="+c.Dir, to, 1)
}

type relay struct {
	socket string
	look   func([]byte)

	mu     sync.Mutex
	conns  []net.Conn // to PostgreSQL
	closed bool
}

func (r *relay) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("unix", r.socket)
		if err != nil || !r.keep(up) {
			_ = c.Close()
			continue
		}
		go func() { // PostgreSQL has ended it: the client is told
			_, _ = io.Copy(c, up)
			_ = c.Close()
		}()
		go r.forward(up, c)
	}
}

// keep notes a connection, unless it is too late.
func (r *relay) keep(up net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		_ = up.Close()
		return false
	}
	r.conns = append(r.conns, up)
	return true
}

func (r *relay) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, up := range r.conns {
		_ = up.Close()
	}
}

func (r *relay) forward(up, c net.Conn) {
	b := make([]byte, 64<<10)
	for {
		n, err := c.Read(b)
		if n > 0 {
			if r.look != nil {
				r.look(b[:n])
			}
			_, _ = up.Write(b[:n])
		}
		if err != nil {
			return // and up stays as it is
		}
	}
}
