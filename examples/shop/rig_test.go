// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lazystate/examples/outcome/pgtest"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/keeper/keepertest"
)

// The environment of a process may say "die at the n-th time that a point is
// reached", or wait there: "exported:2", "in progress:1:/tmp/x".
const (
	dieAt  = "SHOP_DIE_AT"
	waitAt = "SHOP_WAIT_AT"
)

func TestMain(m *testing.M) {
	var mu sync.Mutex
	seen := map[string]int{}
	at = func(point string) {
		mu.Lock()
		defer mu.Unlock()
		seen[point]++
		now := point + ":" + strconv.Itoa(seen[point])
		if os.Getenv(dieAt) == now {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		if file, ok := strings.CutPrefix(os.Getenv(waitAt), now+":"); ok {
			_ = os.WriteFile(file, nil, 0o600)
			for _, err := os.Stat(file); err == nil; _, err = os.Stat(file) {
				time.Sleep(time.Millisecond)
			}
		}
	}
	keepertest.Main(m, run, pgtest.End)
}

// stocked returns what connects to a fresh database with some stock.
func stocked(t *testing.T) (dsn string) {
	t.Helper()
	return pgtest.New(t, schema+"INSERT INTO item VALUES ('pen', 120, 1000), ('ink', 950, 5)")
}

// open is a shop that is open: a front end and a back end, of which each is
// replaced as soon as it is dead.
type open struct {
	*keepertest.Service
	t   *testing.T
	dsn string // for the test itself

	mu      sync.Mutex
	log     bytes.Buffer // of all back ends
	closing bool
	guards  sync.WaitGroup
}

// opened: back is how back ends reach the database.
func opened(t *testing.T, dsn, back string, env ...string) *open {
	t.Helper()
	o := &open{Service: keepertest.New(t, keeper.Config{}), t: t, dsn: dsn}
	t.Cleanup(func() {
		o.mu.Lock()
		o.closing = true
		o.mu.Unlock()
	})
	o.guard(o.start([]string{"back", "--keeper", o.Socket, "--database", back}, env))
	o.guard(o.start([]string{"front", "--keeper", o.Socket, "--listen", o.Addr}, env))
	return o
}

// guard starts a process like p, without p's environment, when that is dead.
func (o *open) guard(p *keepertest.Process) {
	o.guards.Go(func() {
		<-p.Done()
		o.mu.Lock()
		defer o.mu.Unlock()
		if !o.closing {
			go o.guard(o.startLocked(p.Args[1:], nil))
		}
	})
}

func (o *open) start(args, env []string) *keepertest.Process {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.startLocked(args, env)
}

func (o *open) startLocked(args, env []string) *keepertest.Process {
	cmd := keepertest.Command(o.t, args...)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stderr = lockedWriter{o}
	return keepertest.Go(o.t, cmd)
}

type lockedWriter struct{ o *open }

func (w lockedWriter) Write(p []byte) (int, error) {
	w.o.mu.Lock()
	defer w.o.mu.Unlock()
	return w.o.log.Write(p)
}

var answer = regexp.MustCompile(`outcome="?([a-z ]+[a-z])`)

// outcomes are PostgreSQL's answers so far.
func (o *open) outcomes() (all []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range answer.FindAllStringSubmatch(o.log.String(), -1) {
		all = append(all, m[1])
	}
	return all
}
