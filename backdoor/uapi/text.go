// SPDX-License-Identifier: Apache-2.0

package uapi

import (
	"bytes"
	"fmt"
)

// CString returns the text before the first NUL, or all of b.
// The bytes are the target's: they may be no UTF-8 and hold control characters.
func CString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// PutCString writes s and NULs into b, cutting s so that one NUL remains.
func PutCString(b []byte, s string) {
	clear(b)
	if len(b) > 0 {
		copy(b[:len(b)-1], s)
	}
}

// ShortError is a buffer that cannot hold the struct it should.
type ShortError struct {
	Struct     string
	Have, Want int
}

func (e *ShortError) Error() string {
	return fmt.Sprintf("struct %s: %d bytes of %d", e.Struct, e.Have, e.Want)
}

func short(name string, have, want int) error { return &ShortError{name, have, want} }

func unknown(v uint32) string { return fmt.Sprintf("unknown(%d)", v) }
