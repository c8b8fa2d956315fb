// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"lazystate/bench/result"
)

// soak is the file of a soak: it is whole after each run, for a soak takes
// hours and may be interrupted.
type soak struct {
	path string
	load string // of the host, before

	Seed    uint64         `json:"seed"`
	Begun   time.Time      `json:"begun"`
	Machine result.Machine `json:"machine"` // with the target of the last run
	Load    string         `json:"load"`    // of the host
	Source  string         `json:"source"`  // commit of the tree it ran in; "": in none
	Runs    int            `json:"runs"`
	Good    int            `json:"good"`
	Rows    []drillRun     `json:"rows"`
}

func newSoak(ctx context.Context, path string, seed uint64) *soak {
	s := &soak{path: path, load: result.Load(), Seed: seed, Begun: time.Now().UTC().Truncate(time.Second)}
	if path != "" {
		s.Machine = result.Host()
		s.Machine.VM()
		s.Source, _ = result.Source(ctx) // sources need not be a checkout
	}
	return s
}

// add writes the file anew, beside it first; without a path nothing is kept.
func (s *soak) add(row drillRun) error {
	if s.path == "" {
		return nil
	}
	if row.machine.GuestKernel != "" { // it has booted
		s.Machine = row.machine
	}
	s.Load = s.load + " before, " + result.Load() + " after"
	s.Rows = append(s.Rows, row)
	s.Runs++
	if row.OK {
		s.Good++
	}
	return result.WriteRecord(s.path, s)
}
