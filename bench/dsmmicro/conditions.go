// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"lazystate/bench/argo"
	"lazystate/dsm/pager"
	"lazystate/tools/dsmrun/job"
)

// way is how links and writes of our DSM are.
type way struct {
	name string
	args []string
	mode pager.Mode
	peer *argo.Peer // over the same transport
}

var peers = argo.NewPeers()

var ways = []way{
	{"shared memory, async writes", []string{"--bind", "--writes=async"}, pager.Async, &peers.Shared},
	{"shared memory, sync writes", []string{"--bind", "--writes=sync"}, pager.Sync, &peers.Shared},
	{"TCP, async writes", []string{"--bind", "--writes=async", "--tcp"}, pager.Async, &peers.TCP},
}

func (w way) series() string { return "ours: " + w.name }

// condition is one of what is run in turn.
type condition struct {
	series     string
	operations []string
	run        func(context.Context) (figures, error)
}

func (w way) condition(bin, self string) condition {
	of := slices.Clone(operations)
	if w.mode != pager.Async {
		of = slices.DeleteFunc(of, func(name string) bool { return name == scan })
	}
	j := job.Job{Bin: bin, Nodes: 2, Args: w.args, Program: []string{self, w.mode.String()}}
	return condition{w.series(), of, func(ctx context.Context) (got figures, err error) {
		r, err := j.Run(ctx)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(r.Output, &got); err != nil {
			return nil, fmt.Errorf("it says %q: %w", r.Output, err)
		}
		return got, nil
	}}
}

// loads are how many pages ArgoDSM fetches at once: one, and its default. Reads here and
// there find what came with others when it is eight, and a miss is not seen.
var loads = []int{1, 8}

func argoSeries(p *argo.Peer, load int) string {
	return fmt.Sprintf("ArgoDSM: %s, %d a load", p.Transport, load)
}

func onArgo(p *argo.Peer, load int) condition {
	all := slices.DeleteFunc(slices.Clone(operations), func(name string) bool { return name == scan })
	t := argo.Task{Nodes: 2, Env: []string{"ARGO_LOAD_SIZE=" + strconv.Itoa(load)}, Figures: append(slices.Clone(all), sum)}
	if load > 1 {
		all = slices.DeleteFunc(all, func(name string) bool { return name == readMiss })
	}
	return condition{argoSeries(p, load), all, func(ctx context.Context) (figures, error) {
		r, err := p.Run(ctx, t)
		return r.Figures, err
	}}
}

// conditions are those that this kernel has; the figure is told of others.
func conditions(bin, self string, best pager.Mode, lacks func(way)) (all []condition) {
	for _, w := range ways {
		if w.mode == pager.Async && best != pager.Async {
			lacks(w)
			continue
		}
		all = append(all, w.condition(bin, self))
	}
	for _, p := range peers.There() {
		for _, load := range loads {
			all = append(all, onArgo(p, load))
		}
	}
	return all
}
