// SPDX-License-Identifier: Apache-2.0

// Package cboxtest builds C programs with the C library of continuation boxes,
// for tests of the layout that C and Go share (§2.4.2).
//
// The trap: a program that is built for each test that needs it makes them slow;
// here each is built once per test binary, and Clean removes them in its
// TestMain.
//
//	func TestMain(m *testing.M) {
//		code := m.Run()
//		cboxtest.Clean()
//		os.Exit(code)
//	}
//
//	cmd := exec.Command(cboxtest.Program(t, "testdata/c/server.c", cboxtest.Sanitized))
package cboxtest
