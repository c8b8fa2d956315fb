// SPDX-License-Identifier: Apache-2.0

package backdoor

import "testing"

// The letters of fs/proc/array.c, by bits of __state and exit_state.
func TestStateLetter(t *testing.T) {
	for _, c := range []struct {
		state, exit uint32
		want        string
	}{
		{0, 0, "R"}, {1, 0, "S"}, {2, 0, "D"}, {4, 0, "T"}, {8, 0, "t"}, {0, 0x10, "X"}, {0, 0x20, "Z"}, {0x40, 0, "P"},
		{0x402, 0, "I"}, {0x102, 0, "D"}, {0x80, 0x20, "Z"}, {0x2000, 0, "R"}, {^uint32(0), ^uint32(0), "I"}, {0, ^uint32(0), "P"},
	} {
		if got := (&Task{State: c.state, ExitState: c.exit}).StateLetter(); got != c.want {
			t.Errorf("%#x, exit %#x: %s, want %s", c.state, c.exit, got, c.want)
		}
	}
}
