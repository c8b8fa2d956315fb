// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/dsm/client"
	"lazystate/dsm/pager"
	"lazystate/tools/dsmrun/job"
)

var program = trial.Program{
	Name: "dsmmicro", About: "page faults, barriers and locks of the DSM on two nodes (section 4.7)", Runs: 5, Timeout: 20 * time.Minute,
	Takes:   func(o *trial.Options) time.Duration { return time.Duration(o.Runs*len(ways)) * 3 * time.Second },
	Measure: measure,
}

func main() {
	if os.Getenv(client.SocketVariable) == "" {
		program.Exit()
	}
	if err := client.Main(exercise); err != nil {
		fmt.Fprintln(os.Stderr, "dsmmicro:", err)
		os.Exit(1)
	}
}

// ways are how links and writes are.
var ways = []struct {
	name string
	args []string
	mode pager.Mode
}{
	{"shared memory, async writes", []string{"--bind", "--writes=async"}, pager.Async},
	{"shared memory, sync writes", []string{"--bind", "--writes=sync"}, pager.Sync},
	{"TCP, async writes", []string{"--bind", "--writes=async", "--tcp"}, pager.Async},
}

// operations are in the figure's order, with what ArgoDSM took: its median with the
// best of its policies for each, on a machine of this kind under other load.
var operations = []struct {
	name string
	argo float64
}{{readMiss, 11.5}, {inOrder, 0}, {upgrade, 12}, {release, 2100}, {barrier, 5.6}, {cached, 1.5}, {contended, 19}}

func measure(ctx context.Context, o *trial.Options) (fig *result.Figure, err error) {
	bin, err := os.MkdirTemp("", "dsmmicro")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(bin)) }()
	if err := job.Build(ctx, bin); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	best, err := pager.Probe(-1)
	if err != nil {
		return nil, err
	}
	fig = &result.Figure{Title: "The DSM's operations on two nodes", X: "operation", Y: "us", LogY: true, Machine: result.Host()}
	fig.Notef("a sample is the median of a run, of reads in order and cached locks the mean; most pages lie on their home's shelf, which has those laid out that follow one that was asked for")
	fig.Notef("ArgoDSM: over Open MPI, two processes, measured before with the best policy for each operation")
	for i, op := range operations {
		fig.XNames = append(fig.XNames, op.name)
		if op.argo > 0 {
			fig.Paper("ArgoDSM", float64(i+1), op.argo)
		}
	}
	for _, w := range ways {
		if w.mode == pager.Async && best != pager.Async {
			fig.Notef("%s: this kernel cannot", w.name)
			continue
		}
		j := job.Job{Bin: bin, Nodes: 2, Args: w.args, Program: []string{self}}
		all, err := repeat(ctx, &j, o.Runs)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		for i, op := range operations {
			fig.Add("ours: "+w.name, float64(i+1), all[op.name])
		}
		o.Logf("%s: %v", w.name, all)
	}
	return fig, nil
}

// repeat returns the samples of all runs.
func repeat(ctx context.Context, j *job.Job, runs int) (map[string][]float64, error) {
	all := map[string][]float64{}
	for range runs {
		r, err := j.Run(ctx)
		if err != nil {
			return nil, err
		}
		var got figures
		if err := json.Unmarshal(r.Output, &got); err != nil {
			return nil, fmt.Errorf("it says %q: %w", r.Output, err)
		}
		for name, v := range got {
			all[name] = append(all[name], v)
		}
	}
	return all, nil
}
