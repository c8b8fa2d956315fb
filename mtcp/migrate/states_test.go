// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// However many are written at once, each is found again by the lengths of those before.
func TestStatesInOneFile(t *testing.T) {
	var all []*Coming
	for _, n := range []int{0, writeAtOnce + 1, 10, writeAtOnce / 2, writeAtOnce, 3} {
		s := sample
		s.Box = make([]byte, n)
		all = append(all, &Coming{state: &s})
	}
	written, err := writeStates(all)
	if err != nil {
		t.Fatal(err)
	}
	defer written.close()
	at := int64(0)
	for i, c := range all {
		b := make([]byte, written.lens[i])
		if _, err := written.file.ReadAt(b, at); err != nil {
			t.Fatal(err)
		}
		got, err := ParseState(b)
		if err != nil || !cmp.Equal(got, c.state) {
			t.Errorf("%d: %v", i, err)
		}
		at += written.lens[i]
	}
	if st, err := written.file.Stat(); err != nil || st.Size() != at {
		t.Errorf("%v, %v: want %d bytes", st, err, at)
	}
}
