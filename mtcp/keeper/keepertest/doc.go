// SPDX-License-Identifier: Apache-2.0

// Package keepertest runs the processes of a server for tests of what their
// clients see when processes are killed, replaced or end (§2.4.2).
//
// The test's own binary is the server: Main runs it when it is called as one.
//
// The trap: a client that reads slowly is not one that the server waits for.
// Only what is larger than all buffers between them (some megabytes) has the
// server at work when the test interrupts it.
//
//	func TestMain(m *testing.M) { keepertest.Main(m, run) }
//
//	func TestDownload(t *testing.T) {
//		keepertest.Each(t, func(t *testing.T, interrupt func(*keepertest.Service)) {
//			s := keepertest.New(t, keeper.Config{})
//			s.Run("--keeper", s.Socket, "--listen", s.Addr)
//			...
//			interrupt(s)
//		})
//	}
package keepertest
