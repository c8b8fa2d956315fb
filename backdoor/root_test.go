// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"errors"
	"strings"
	"testing"

	"lazystate/backdoor/uapi"
)

// A root of another protocol, or one that is being written, opens nothing.
func TestRootRefuses(t *testing.T) {
	good := uapi.Root{
		Magic: uapi.RootMagic, Major: uapi.VersionMajor, Size: uapi.RootSize, Generation: 1, TableAddr: 1 << 20, TableGPA: 1 << 20, TableLen: uapi.TableSize,
	}
	for name, c := range map[string]struct {
		change func(*uapi.Root)
		want   string
	}{
		"as it should be":     {func(*uapi.Root) {}, ""},
		"a newer minor":       {func(r *uapi.Root) { r.Minor++ }, ""},
		"a longer root":       {func(r *uapi.Root) { r.Size += 64 }, ""},
		"another major":       {func(r *uapi.Root) { r.Major++ }, "this monitor speaks"},
		"magic":               {func(r *uapi.Root) { r.Magic ^= 1 }, "magic"},
		"a short root":        {func(r *uapi.Root) { r.Size-- }, "size"},
		"a table of nothing":  {func(r *uapi.Root) { r.TableLen = 8 }, "table of 8 bytes"},
		"a table of too much": {func(r *uapi.Root) { r.TableLen = 1 << 30 }, "region table of"},
		"a table that wraps":  {func(r *uapi.Root) { r.TableAddr = 1<<64 - 8 }, "wraps"},
		"and in gpa":          {func(r *uapi.Root) { r.TableGPA = 1<<64 - 8 }, "wraps"},
	} {
		r := good
		c.change(&r)
		_, err := DecodeRoot(r.Encode())
		var bad *CorruptError
		if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &bad) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, r := range map[string]uapi.Root{"never written": {}, "withdrawn": {Magic: uapi.RootMagic, Major: uapi.VersionMajor}} {
		if _, err := DecodeRoot(r.Encode()); !errors.Is(err, ErrWithdrawn) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := DecodeRoot(good.Encode()[:uapi.RootSize-1]); err == nil {
		t.Error("a byte is missing and nobody said so")
	}
}
