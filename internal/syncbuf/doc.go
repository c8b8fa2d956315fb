// SPDX-License-Identifier: Apache-2.0

// Package syncbuf has what a process or a logger writes, for somebody who reads
// it meanwhile: a bytes.Buffer under a lock.
//
// The trap it is there for: exec.Cmd copies a child's output on a goroutine of
// its own, so a plain bytes.Buffer is safe to read after Wait only.
//
//	var log syncbuf.Buffer
//	cmd.Stderr = &log
//	if err := cmd.Start(); err != nil {
//		return err
//	}
//	...
//	if strings.Contains(log.String(), "ready") {
package syncbuf
