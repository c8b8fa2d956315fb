// SPDX-License-Identifier: Apache-2.0

package drill

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Iteration is one turn of the useful program.
type Iteration struct {
	Number uint64
	Took   time.Duration // wall time: between this line's arrival and the one before
	Said   time.Duration // by the target's own clock, which a busy host may have miscalibrated at boot
	At     time.Time     // when its line arrived
}

// Useful takes the output of the useful program, line by line. It is an
// io.Writer for the lab's stream.
type Useful struct {
	mu   sync.Mutex
	part []byte
	all  []Iteration
	bad  int
}

// mostLine bounds a line that never ends.
const mostLine = 256

func (u *Useful) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.part = append(u.part, p...)
	for {
		line, rest, ok := bytes.Cut(u.part, []byte("\n"))
		if !ok {
			break
		}
		u.take(line)
		u.part = append([]byte(nil), rest...)
	}
	if len(u.part) > mostLine {
		u.part, u.bad = nil, u.bad+1
	}
	return len(p), nil
}

func (u *Useful) take(line []byte) {
	it := Iteration{At: time.Now()}
	var ns int64
	if n, err := fmt.Sscanf(string(line), "%d %d", &it.Number, &ns); n != 2 || err != nil || ns < 0 {
		u.bad++
		return
	}
	it.Said = time.Duration(ns)
	it.Took = it.Said
	if n := len(u.all); n > 0 {
		it.Took = it.At.Sub(u.all[n-1].At)
	}
	u.all = append(u.all, it)
}

// Between returns the iterations whose line arrived in [from, to).
func (u *Useful) Between(from, to time.Time) Iterations {
	u.mu.Lock()
	defer u.mu.Unlock()
	var some Iterations
	for _, it := range u.all {
		if !it.At.Before(from) && it.At.Before(to) {
			some = append(some, it)
		}
	}
	return some
}

// Last returns the last iteration; ok is false if there is none.
func (u *Useful) Last() (it Iteration, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.all) == 0 {
		return it, false
	}
	return u.all[len(u.all)-1], true
}

// Iterations of one phase.
type Iterations []Iteration

// Quantile returns the time that a share q of the iterations did not exceed.
func (s Iterations) Quantile(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	took := make([]time.Duration, len(s))
	for i := range s {
		took[i] = s[i].Took
	}
	slices.Sort(took)
	return took[min(int(q*float64(len(took))), len(took)-1)]
}

// Median of the iterations' times.
func (s Iterations) Median() time.Duration { return s.Quantile(0.5) }

// Well is how much longer than before an iteration of a healed machine may take.
const Well = 1.10

// Without returns the iterations without a share of their time: what the
// machine waited for its host.
func (s Iterations) Without(share float64) Iterations {
	out := slices.Clone(s)
	for i := range out {
		out[i].Took -= time.Duration(share * float64(out[i].Took))
	}
	return out
}

// AsBefore reports whether an iteration takes at most well times as long as
// before, by the medians: one iteration that a busy host made longer says as
// little as one that it spared.
func (s Iterations) AsBefore(before Iterations, well float64) bool {
	if len(s) == 0 || len(before) == 0 {
		return false
	}
	return float64(s.Median()) <= well*float64(before.Median())
}
