// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"context"
	"sync"

	"lazystate/backdoor"
)

// gather lets many readers read step by step, each at its own pace as far as it
// can see, while what all of them wait for goes out together: n boxes that take
// three reads each cost three batches, not 3n.
type gather struct {
	ctx  context.Context
	read func(context.Context, []backdoor.VARead) error // Target.ReadEach

	mu      sync.Mutex
	running int // that do not wait
	waiting []*request
	failed  error // the carrier's
}

type request struct {
	reads []backdoor.VARead
	done  chan error
}

// each runs f for 0 to n-1 at once and returns when all have. f reads by the
// function that it is given, whose error is the carrier's, or that of the first
// of its reads.
func (g *gather) each(n int, f func(i int, read func([]backdoor.VARead) error)) {
	g.running = n
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			f(i, g.wait)
			g.mu.Lock()
			g.running--
			g.flush()
		})
	}
	all.Wait()
}

// wait reads with all the others.
func (g *gather) wait(reads []backdoor.VARead) error {
	if len(reads) == 0 {
		return nil
	}
	r := &request{reads, make(chan error, 1)}
	g.mu.Lock()
	g.waiting = append(g.waiting, r)
	g.running--
	g.flush()
	return <-r.done
}

// flush reads for all who wait, once nobody else is running; it unlocks mu.
func (g *gather) flush() {
	if g.running > 0 || len(g.waiting) == 0 {
		g.mu.Unlock()
		return
	}
	waiting := g.waiting
	g.waiting, g.running = nil, len(waiting)
	g.mu.Unlock()
	var reads []backdoor.VARead
	for _, r := range waiting {
		reads = append(reads, r.reads...)
	}
	err := g.read(g.ctx, reads)
	if err != nil {
		g.mu.Lock()
		g.failed = err
		g.mu.Unlock()
	}
	for _, r := range waiting {
		copy(r.reads, reads)
		reads = reads[len(r.reads):]
		r.done <- firstErr(err, r.reads)
	}
}

func firstErr(err error, reads []backdoor.VARead) error {
	for i := range reads {
		if err == nil {
			err = reads[i].Err
		}
	}
	return err
}
