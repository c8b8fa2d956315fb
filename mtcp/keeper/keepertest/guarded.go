// SPDX-License-Identifier: Apache-2.0

package keepertest

import (
	"bytes"
	"sync"
	"testing"

	"lazystate/mtcp/keeper"
)

// Guarded is a service of several commands, each of whose processes is replaced as
// soon as it is dead.
type Guarded struct {
	*Service

	mu      sync.Mutex
	said    bytes.Buffer // by all processes
	closing bool
}

// Guard makes the keeper of one.
func Guard(t testing.TB, cfg keeper.Config) *Guarded {
	t.Helper()
	return &Guarded{Service: New(t, cfg)}
}

// Start starts a process that nobody replaces.
func (g *Guarded) Start(env []string, args ...string) *Process {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.startLocked(env, args)
}

// Keep starts one of which the next has no environment of its own.
func (g *Guarded) Keep(env []string, args ...string) { g.guard(g.Start(env, args...)) }

func (g *Guarded) guard(p *Process) {
	go func() {
		<-p.Done()
		g.mu.Lock()
		defer g.mu.Unlock()
		if !g.closing {
			g.guard(g.startLocked(nil, p.Args[1:]))
		}
	}()
}

func (g *Guarded) startLocked(env, args []string) *Process {
	cmd := Command(g.t, args...)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stderr = guardedWriter{g}
	p := Go(g.t, cmd)
	g.t.Cleanup(g.close) // before this one is killed
	return p
}

func (g *Guarded) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closing = true
}

// Said is what all processes have written to their standard errors.
func (g *Guarded) Said() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.said.String()
}

type guardedWriter struct{ g *Guarded }

func (w guardedWriter) Write(p []byte) (int, error) {
	w.g.mu.Lock()
	defer w.g.mu.Unlock()
	return w.g.said.Write(p)
}
