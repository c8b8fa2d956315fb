// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// socket is what PostgreSQL's clients look for in a folder.
const socket = ".s.PGSQL.5432"

// Relay stands between a service and PostgreSQL as a network does that drops
// everything when a machine is gone: PostgreSQL is not told.
type Relay struct {
	DSN  string        // through it
	Held chan struct{} // gets one when a COMMIT is held
	Free chan struct{} // closed by the test when that may go on
}

// Relayed listens; hold: the first COMMIT stays here until Free is closed.
func Relayed(t testing.TB, dsn string, hold bool) *Relay {
	t.Helper()
	dir, err := os.MkdirTemp("", "relay-") // short, and without what a connection string has a meaning for
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, socket))
	must(t, err)
	return relayed(t, l, strings.Replace(dsn, "host="+one.Dir, "host="+dir, 1), hold)
}

// RelayedAt is Relayed for machines that share no folder with this one: l listens at
// TCP, and is closed with the test.
func RelayedAt(t testing.TB, dsn string, l net.Listener) *Relay {
	t.Helper()
	host, port, err := net.SplitHostPort(l.Addr().String())
	must(t, err)
	return relayed(t, l, strings.Replace(dsn, "host="+one.Dir, "host="+host+" port="+port, 1), false)
}

func relayed(t testing.TB, l net.Listener, dsn string, hold bool) *Relay {
	r := &Relay{DSN: dsn, Held: make(chan struct{}, 1), Free: make(chan struct{})}
	t.Cleanup(func() { _ = l.Close() })
	var once sync.Once
	look := func(b []byte) {
		if hold && bytes.Contains(bytes.ToLower(b), []byte("commit")) {
			once.Do(func() {
				r.Held <- struct{}{}
				<-r.Free
			})
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("unix", filepath.Join(one.Dir, socket))
			if err != nil {
				_ = c.Close()
				continue
			}
			t.Cleanup(func() { _ = up.Close() })
			go func() { // PostgreSQL has ended it: the client is told
				_, _ = io.Copy(c, up)
				_ = c.Close()
			}()
			go forward(up, c, look)
		}
	}()
	return r
}

func forward(up, c net.Conn, look func([]byte)) {
	b := make([]byte, 64<<10)
	for {
		n, err := c.Read(b)
		if n > 0 {
			look(b[:n])
			_, _ = up.Write(b[:n])
		}
		if err != nil {
			return // and up stays as it is
		}
	}
}
