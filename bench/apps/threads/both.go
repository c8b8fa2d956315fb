// SPDX-License-Identifier: Apache-2.0

package threads

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"lazystate/bench/apps/dsmapps/program"
	"lazystate/tools/dsmrun/job"
)

// Flags are the sizes, as a bench is told them.
func (z *Sizes) Flags(fs *flag.FlagSet, iterations, nodes int) {
	fs.IntVar(&z.Size, "size", 1024, "points in a row of the grid")
	fs.IntVar(&z.Iterations, "iterations", iterations, "sweeps of both colours")
	fs.IntVar(&z.Threads, "nodes", nodes, "processes, or threads")
}

// Both are SOR by threads and SOR on the DSM, which must have the same result.
type Both struct {
	C   SOR
	Dir string // of the programs; temporary

	want program.Digest // "" until there is a result
}

// BuildBoth builds them; Close removes them.
func BuildBoth(ctx context.Context) (*Both, error) {
	dir, err := os.MkdirTemp("", "sor")
	if err != nil {
		return nil, err
	}
	b := &Both{Dir: dir}
	if err = job.Build(ctx, dir, "lazystate/bench/apps/dsmapps"); err == nil {
		b.C, err = Build(ctx, dir)
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// Close removes the programs.
func (b *Both) Close() error { return os.RemoveAll(b.Dir) }

// Same is nil if a result is what the first one was.
func (b *Both) Same(r Result) error {
	if b.want == "" {
		b.want = r.Digest
	}
	if r.Digest == "" || r.Digest != b.want {
		return fmt.Errorf("the result is %q, and was %q", r.Digest, b.want)
	}
	return nil
}

// OnNodes runs the DSM's on as many nodes as there are threads elsewhere; of the job
// it needs Args and Line.
func (b *Both) OnNodes(ctx context.Context, z Sizes, j job.Job) (r Result, run job.Result, err error) {
	j.Bin, j.Nodes = b.Dir, z.Threads
	j.Program = []string{filepath.Join(b.Dir, "dsmapps"), "sor", "--size", strconv.Itoa(z.Size), "--iterations", strconv.Itoa(z.Iterations)}
	if err := j.Needs(ctx); err != nil {
		return r, run, err
	}
	if run, err = j.Run(ctx); err != nil {
		return r, run, err
	}
	if err := json.Unmarshal(run.Output, &r); err != nil {
		return r, run, fmt.Errorf("it says %q: %w", run.Output, err)
	}
	return r, run, nil
}
