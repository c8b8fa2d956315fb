// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"slices"
	"time"
)

// subject is who a policy accuses: a user, or one process of it.
type subject struct {
	uid uint32
	pid int32 // 0: the user with all processes
}

// score is a subject's measure under one policy.
type score struct {
	subject
	value float64
}

// rateWindow is how far back the start times of living processes are counted
// when the target has no fork counter for a user.
const rateWindow = time.Second

// measure returns the scores of a policy, largest first; equal ones by uid,
// then pid, so that two monitors name the same culprit.
func (v *view) measure(k Kind) []score {
	sums := map[subject]float64{}
	mms := map[uint64]bool{}
	for i := range v.Processes {
		p := &v.Processes[i]
		if v.standing[i] == outside || v.standing[i] == spared && k.filtersFirst() {
			continue
		}
		user := subject{uid: p.UID}
		switch k {
		case PolicyTooManyProcs:
			sums[user] += float64(max(p.Threads, 1)) // each fills a place of the table
		case PolicyRateTooHigh:
			if p.Start <= v.Now && v.Now-p.Start < rateWindow {
				sums[user] += float64(time.Second) / float64(rateWindow)
			}
		case PolicyTreeTooDeep:
			sums[user] = max(sums[user], float64(v.depth[i]))
		case PolicyMaxRSS:
			sums[subject{p.UID, p.PID}] = float64(v.ownFootprint(i, mms))
		case PolicyMaxRSSUID, PolicyMaxRSSUIDSaveUID:
			sums[user] += float64(v.ownFootprint(i, mms))
		}
	}
	if k == PolicyRateTooHigh {
		v.countForks(sums)
	}
	return ranked(sums)
}

// ownFootprint counts an address space once, for the first that has it:
// threads and vfork children share.
func (v *view) ownFootprint(i int, counted map[uint64]bool) uint64 {
	p := &v.Processes[i]
	if p.MM != 0 {
		if counted[p.MM] {
			return 0
		}
		counted[p.MM] = true
	}
	return p.Footprint()
}

// countForks prefers the target's own fork counters: short-lived processes
// are dead before a table is read. The parent that forks them is alive, and
// only users with a living process can be culprits.
func (v *view) countForks(sums map[subject]float64) {
	for i := range v.Processes {
		if v.standing[i] != open {
			continue
		}
		s := subject{uid: v.Processes[i].UID}
		if rate, ok := v.Forks[s.uid]; ok && rate > sums[s] {
			sums[s] = rate
		}
	}
}

func ranked(sums map[subject]float64) []score {
	all := make([]score, 0, len(sums))
	for s, value := range sums {
		all = append(all, score{s, value})
	}
	slices.SortFunc(all, func(a, b score) int {
		return cmp.Or(cmp.Compare(b.value, a.value), cmp.Compare(a.uid, b.uid), cmp.Compare(a.pid, b.pid))
	})
	return all
}
