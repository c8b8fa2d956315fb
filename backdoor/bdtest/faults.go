// SPDX-License-Identifier: Apache-2.0

package bdtest

import (
	"maps"
	"math/rand/v2"
	"time"

	"lazystate/backdoor"
)

// Ops returns how many operations have reached the target. The next one has
// this index.
func (m *Memory) Ops() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ops
}

// OnIndex makes the operation of an index fail (Ops() + n is the n-th from now).
// A test that does so for every index of a run has tried every fault point.
func (m *Memory) OnIndex(index int, err error) {
	m.set(func(f *faults) {
		f.failAt = maps.Clone(f.failAt)
		if f.failAt == nil {
			f.failAt = map[int]error{}
		}
		f.failAt[index] = err
	})
}

// Before is called ahead of each operation; its error is the operation's.
func (m *Memory) Before(fn func(i int, op *backdoor.Op) error) {
	m.set(func(f *faults) { f.before = fn })
}

// During is called in the middle of each read, when half of the bytes are
// copied: what it changes shows as a torn read.
func (m *Memory) During(fn func(i int, op *backdoor.Op)) { m.set(func(f *faults) { f.during = fn }) }

// Latency delays every batch.
func (m *Memory) Latency(d time.Duration) { m.set(func(f *faults) { f.latency = d }) }

// Lose makes a share p of all batches get no answer until Close.
func (m *Memory) Lose(p float64, seed uint64) {
	m.set(func(f *faults) { f.loss, f.rng = p, rand.New(rand.NewPCG(seed, 1)) })
}

// Freeze keeps every batch from being answered until Thaw or Close.
func (m *Memory) Freeze() { m.set(func(f *faults) { f.frozen = true }) }

// Thaw answers what waited; lost batches end with context.DeadlineExceeded.
func (m *Memory) Thaw() {
	m.set(func(f *faults) { f.frozen = false })
	m.mu.Lock()
	stuck := m.stuck
	m.stuck = nil
	m.mu.Unlock()
	for _, run := range stuck {
		run(nil)
	}
}

// ReadOnly makes this side one that may not write (another monitor does).
func (m *Memory) ReadOnly(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.readOnly = on
}

// Heal takes back every fault.
func (m *Memory) Heal() {
	m.set(func(f *faults) { *f = faults{} })
	m.Thaw()
}

func (m *Memory) set(fn func(*faults)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn(&m.faults)
}
