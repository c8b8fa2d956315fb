// SPDX-License-Identifier: Apache-2.0

package threads

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lazystate/bench/apps/dsmapps/program"
	"lazystate/tools/dsmrun/job"
)

// Both are a work by threads and on the DSM, which must have the same result.
type Both struct {
	*Work
	C   Program
	Dir string // of the programs; temporary

	want program.Digest // "" until there is a result
}

// BuildBoth builds them; Close removes them.
func BuildBoth(ctx context.Context, w *Work) (*Both, error) {
	dir, err := os.MkdirTemp("", w.Name)
	if err != nil {
		return nil, err
	}
	b := &Both{Work: w, Dir: dir}
	if err = job.Build(ctx, dir, "lazystate/bench/apps/dsmapps"); err == nil {
		b.C, err = Build(ctx, dir, w.Name)
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

// OnThreads runs the one in C.
func (b *Both) OnThreads(ctx context.Context, threads int) (Result, error) {
	return b.C.Run(ctx, b.Work, threads)
}

// OnNodes runs the DSM's on as many nodes as there are threads elsewhere; of the job
// it needs Args and Line.
func (b *Both) OnNodes(ctx context.Context, j job.Job) (r Result, run job.Result, err error) {
	j.Bin, j.Nodes = b.Dir, b.Threads
	j.Program = append([]string{filepath.Join(b.Dir, "dsmapps")}, b.onNodes()...)
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
