// SPDX-License-Identifier: Apache-2.0

// Package ready tells what a descriptor is ready for, without waiting.
//
// The trap: poll(2) ends with EINTR even if it is not to wait, and Go's
// scheduler signals its own threads. Who reads that as "not ready" and then
// waits for the next edge waits for ever.
package ready
