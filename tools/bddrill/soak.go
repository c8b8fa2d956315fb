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

	Seed    uint64         `json:"seed"`
	Begun   time.Time      `json:"begun"`
	Machine result.Machine `json:"machine"`
	Source  string         `json:"source"` // commit of the tree it ran in; "": in none
	Targets string         `json:"targets"`
	Runs    int            `json:"runs"`
	Good    int            `json:"good"`
	Rows    []drillRun     `json:"rows"`
}

func newSoak(ctx context.Context, path string, seed uint64) *soak {
	s := &soak{path: path, Seed: seed, Begun: time.Now().UTC().Truncate(time.Second), Machine: result.Host(), Targets: "2 vCPUs, 512 MiB, 512 MiB of swap"}
	if path != "" {
		s.Machine.VM()
		s.Source, _ = result.Source(ctx) // an installed bddrill runs anywhere
	}
	return s
}

// add writes the file anew, beside it first; without a path nothing is kept.
func (s *soak) add(row drillRun) error {
	if s.path == "" {
		return nil
	}
	s.Rows = append(s.Rows, row)
	s.Runs++
	if row.OK {
		s.Good++
	}
	return result.WriteRecord(s.path, s)
}
