// SPDX-License-Identifier: Apache-2.0

// Package threads is what the DSM's applications are without a DSM: plain C with
// threads, on one machine (§4.7 compares with the protocol without logs only). It is the
// limit that a program on the DSM can come near to.
//
// The trap: a result that differs in a bit says that it is not the same program. So C
// adds in the order in which bench/apps/dsmapps does, and may not fuse.
//
// Both has the DSM's beside it, and compares.
//
//	both, err := threads.BuildBoth(ctx, threads.SOR(50, 2))
//	if err != nil {
//		return err
//	}
//	defer both.Close()
//	c, err := both.OnThreads(ctx, 2)
//	go_, _, err := both.OnNodes(ctx, job.Job{})
//	fmt.Println(c.Seconds, go_.Seconds, both.Same(c), both.Same(go_))
package threads
