// SPDX-License-Identifier: Apache-2.0

// Package job runs a parallel program under dsmrun on this host (§4.7), for what
// looks on: the demonstration, benches, tests. It gives back what the program has
// printed, how long it took and what each node has counted.
//
// The trap: nodes report once a second and at their end, so the counts are of the
// whole run, but those of a node that was killed begin with its last life.
//
//	if err := job.Build(ctx, dir, "lazystate/bench/apps/dsmapps"); err != nil {
//		return err
//	}
//	j := job.Job{Bin: dir, Nodes: 4, Program: []string{filepath.Join(dir, "dsmapps"), "barnes"}}
//	if err := j.Needs(ctx); err != nil {
//		return err
//	}
//	r, err := j.Run(ctx)
package job
