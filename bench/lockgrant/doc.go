// SPDX-License-Identifier: Apache-2.0

// Command lockgrant measures the remote OS lock (§3.9.1): from the request's
// first write until the monitor sees the target stopped, and from the release
// until the target runs, idle and under the two fork bombs of the drills.
//
// The trap: a grant says that every CPU has stopped, not that the kernel is
// consistent; how often the view was drained is in the table. And the monitor
// shares the host's processors with the guest: it polls politely.
//
//	go run ./bench/lockgrant --runs 50
package main
