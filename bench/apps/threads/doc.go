// SPDX-License-Identifier: Apache-2.0

// Package threads is what the DSM's applications are without a DSM: plain C with
// threads, on one machine (§4.7 compares with the protocol without logs only). It is the
// limit that a program on the DSM can come near to.
//
// The trap: a result that differs in a bit says that it is not the same program. So C
// adds in the order in which bench/apps/dsmapps does, and may not fuse.
//
//	sor, err := threads.Build(ctx, dir)
//	if err != nil {
//		return err
//	}
//	r, err := sor.Run(ctx, threads.Sizes{Size: 512, Iterations: 50, Threads: 2})
//	fmt.Println(r.Seconds, r.Digest)
package threads
