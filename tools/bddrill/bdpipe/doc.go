// SPDX-License-Identifier: Apache-2.0

// Bdpipe is a guest's program for `bddrill --carrier rdma`, where the monitor runs
// in a machine of its own: it connects its standard streams to a unix socket there,
// and tells that machine's time.
//
// The trap: two machines have two clocks. Times that the monitor noted count on the
// drill's clock only after --clock was asked.
//
//	bdpipe /run/bdmon.sock   # speaks for the other end of the pipe
//	bdpipe --clock           # nanoseconds since 1970
package main
