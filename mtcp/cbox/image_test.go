// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"strings"
	"testing"

	"lazystate/backdoor/uapi"
)

// Of a process's buffers that is read which counts, and as far as its snapshot goes: a
// small one with the look at both of them, a large one with one batch more.
func TestSnapshotsAreReadAsFarAsTheyGo(t *testing.T) {
	const fits = snapLook - uapi.CboxSnapSize
	for _, c := range []struct{ size, more int }{{0, 0}, {1, 0}, {fits, 0}, {fits + 1, 1}, {3 * snapLook, 1}, {8 << 10, 1}} {
		_, conn := accepted(t, Config{Snapshot: 8 << 10})
		batches, read := 0, 0
		look := func() *Image {
			t.Helper()
			batches, read = 0, 0
			im, err := ReadImage(uint64(len(conn.m)), func(exts []Extent) error {
				if len(exts) > 0 {
					batches++
				}
				for _, e := range exts {
					read += len(e.Buf)
				}
				return remote(conn.m)(exts)
			})
			if err != nil {
				t.Fatal(err)
			}
			return im
		}
		if im := look(); im.Snapshots[0] != nil {
			t.Error("there is none yet")
		}
		nothing, least := batches, read
		export(t, conn, strings.Repeat("a", 8<<10)) // what lies behind the end of the one that counts, and before it
		export(t, conn, strings.Repeat("b", 8<<10))
		export(t, conn, strings.Repeat("x", c.size))
		im := look()
		if got := string(im.Snapshots[0].Data); got != strings.Repeat("x", c.size) {
			t.Errorf("%d bytes: read %d, %.20q", c.size, len(got), got)
		}
		if want := least + max(0, c.size-fits); batches != nothing+c.more || read != want {
			t.Errorf("%d bytes: %d batches more, %d bytes read, want %d and %d", c.size, batches-nothing, read, c.more, want)
		}
		all, err := whole(conn.m)
		if err != nil {
			t.Fatal(err)
		}
		plantable(t, all) // as it would go elsewhere
	}
}
