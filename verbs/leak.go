// SPDX-License-Identifier: Apache-2.0

package verbs

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Leak is an object that is open: made and not closed, reachable or not.
type Leak struct {
	Object string // "mr 7"
	Stack  string // of the goroutine that made it
}

func (l Leak) String() string { return l.Object + " was made and not closed:\n" + l.Stack }

type trace struct {
	object string
	serial uint64
	pcs    []uintptr
}

var traces struct {
	on     atomic.Bool
	mu     sync.Mutex
	serial uint64
	open   map[*trace]struct{}
}

// TraceLeaks notes where every object is made from now on, for Leaks. It costs
// a microsecond an object; verbstest.Main does it for tests.
func TraceLeaks() { traces.on.Store(true) }

// Leaks returns the traced objects that are open, oldest first.
func Leaks() []Leak {
	traces.mu.Lock()
	defer traces.mu.Unlock()
	var open []*trace
	for t := range traces.open {
		open = append(open, t)
	}
	slices.SortFunc(open, func(a, b *trace) int { return int(a.serial) - int(b.serial) })
	var leaks []Leak
	for _, t := range open {
		leaks = append(leaks, Leak{Object: t.object, Stack: t.stack()})
	}
	return leaks
}

func newTrace(o *object) *trace {
	if !traces.on.Load() {
		return nil
	}
	t := &trace{object: o.String(), pcs: make([]uintptr, 32)}
	t.pcs = t.pcs[:runtime.Callers(4, t.pcs)] // Callers, newTrace, made, the maker
	traces.mu.Lock()
	defer traces.mu.Unlock()
	if traces.open == nil {
		traces.open = map[*trace]struct{}{}
	}
	traces.serial++
	t.serial = traces.serial
	traces.open[t] = struct{}{}
	return t
}

func (t *trace) end() {
	if t == nil {
		return
	}
	traces.mu.Lock()
	defer traces.mu.Unlock()
	delete(traces.open, t)
}

func (t *trace) stack() string {
	var b strings.Builder
	for frames := runtime.CallersFrames(t.pcs); ; {
		f, more := frames.Next()
		fmt.Fprintf(&b, "\t%s\n\t\t%s:%d\n", f.Function, f.File, f.Line)
		if !more {
			return b.String()
		}
	}
}
