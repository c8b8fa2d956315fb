// SPDX-License-Identifier: Apache-2.0

// Package cprogram builds C programs with one of the project's C libraries, for
// tests of what C and Go share: continuation boxes (§2.4.2), the calls of the DSM
// (§4.3.2).
//
// The trap: a program that is built for each test that needs it makes them slow;
// here each is built once per test binary, and Clean removes them in its
// TestMain.
//
//	func TestMain(m *testing.M) {
//		code := m.Run()
//		cprogram.Clean()
//		os.Exit(code)
//	}
//
//	lib := cprogram.Library{Source: "dsm/c", Archive: "libdsm.a"}
//	cmd := exec.Command(lib.Program(t, "testdata/c/sums.c", cprogram.Sanitized))
package cprogram
