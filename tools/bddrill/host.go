// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"lazystate/internal/pause"
)

// host keeps what a machine's vCPU threads ran and what they waited for a CPU
// of the host (sched_info of the host's kernel): a neighbour's load is no
// illness of the machine, and makes each of its iterations longer.
type host struct {
	mu      sync.Mutex
	samples []hostSample
}

// hostSample is a moment's sum over the vCPU threads since their start.
type hostSample struct {
	at        time.Time
	ran, wait time.Duration
}

const hostEvery = 500 * time.Millisecond

// follow samples until ctx ends or the machine is gone.
func (h *host) follow(ctx context.Context, pid, vcpus int) {
	for {
		s, err := vcpuTime(fmt.Sprintf("/proc/%d/task", pid), vcpus)
		if err != nil {
			return
		}
		h.mu.Lock()
		h.samples = append(h.samples, s)
		h.mu.Unlock()
		if pause.For(ctx, hostEvery) != nil {
			return
		}
	}
}

// vcpuTime takes the threads that ran most for the vCPUs: QEMU names none.
func vcpuTime(tasks string, vcpus int) (hostSample, error) {
	files, err := filepath.Glob(filepath.Join(tasks, "*", "schedstat"))
	if err != nil {
		return hostSample{}, err
	}
	var all []hostSample
	for _, f := range files {
		var ran, wait int64
		text, err := os.ReadFile(f)
		if err != nil {
			continue // a thread that has just ended
		}
		if _, err := fmt.Sscan(string(text), &ran, &wait); err == nil {
			all = append(all, hostSample{ran: time.Duration(ran), wait: time.Duration(wait)})
		}
	}
	if len(all) < vcpus {
		return hostSample{}, fmt.Errorf("%s: %d threads, the machine has %d vCPUs", tasks, len(all), vcpus)
	}
	slices.SortFunc(all, func(a, b hostSample) int { return int(b.ran - a.ran) })
	sum := hostSample{at: time.Now()}
	for _, s := range all[:vcpus] {
		sum.ran, sum.wait = sum.ran+s.ran, sum.wait+s.wait
	}
	return sum, nil
}

// share is the part of the time in which the vCPUs wanted to run that they
// waited for the host, between two moments; 0 if nothing is known.
func (h *host) share(from, to time.Time) float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	within := slices.DeleteFunc(slices.Clone(h.samples), func(s hostSample) bool { return s.at.Before(from) || s.at.After(to) })
	if len(within) < 2 {
		return 0
	}
	first, last := within[0], within[len(within)-1]
	ran, wait := last.ran-first.ran, last.wait-first.wait
	if ran <= 0 || wait < 0 {
		return 0
	}
	return float64(wait) / float64(ran+wait)
}
