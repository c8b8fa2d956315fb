// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"lazystate/examples/outcome/postgres"
)

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
	l, err := net.Listen("unix", filepath.Join(dir, postgres.Socket))
	must(t, err)
	return relayed(t, l, dsn, hold)
}

// RelayedAt is Relayed for machines that share no folder with this one: l listens at
// TCP, and is closed with the test.
func RelayedAt(t testing.TB, dsn string, l net.Listener) *Relay {
	t.Helper()
	return relayed(t, l, dsn, false)
}

func relayed(t testing.TB, l net.Listener, dsn string, hold bool) *Relay {
	r := &Relay{DSN: one.Through(dsn, l.Addr()), Held: make(chan struct{}, 1), Free: make(chan struct{})}
	var once sync.Once
	t.Cleanup(one.Relay(l, func(b []byte) {
		if hold && bytes.Contains(bytes.ToLower(b), []byte("commit")) {
			once.Do(func() {
				r.Held <- struct{}{}
				<-r.Free
			})
		}
	}))
	return r
}
