// SPDX-License-Identifier: Apache-2.0

package cboxtest

import (
	"testing"

	"lazystate/internal/cprogram"
)

// How a program and the library in it are built.
const (
	Plain     = cprogram.Plain
	Sanitized = cprogram.Sanitized
)

var library = cprogram.Library{Source: "mtcp/cbox/c", Archive: "libcbox.a"}

// Clean removes all that was built.
func Clean() { cprogram.Clean() }

// Program builds a C source file with the library and returns the program's path.
func Program(t testing.TB, source, flags string) string {
	t.Helper()
	return library.Program(t, source, flags)
}
