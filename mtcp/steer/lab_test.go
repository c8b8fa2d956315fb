// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"os"
	"testing"

	"lazystate/tools/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m, 1)) }

// rounds is how many hundreds of cases a property is tried with: a guest under
// emulation takes twenty times as long for each.
func rounds(n int) int {
	if lab.InGuest() {
		return 2
	}
	return n
}
