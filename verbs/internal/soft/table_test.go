// SPDX-License-Identifier: Apache-2.0

package soft

import (
	"math"
	"testing"

	"lazystate/verbs/driver"
)

// Numbers come round after four billion objects, and leave out what lives.
func TestHandlesComeRound(t *testing.T) {
	var tab table[driver.MR, string]
	first := tab.add("lives")
	tab.last = math.MaxUint32 - 1
	if a, b := tab.add("the last number"), tab.add("one more"); a != math.MaxUint32 || b == 0 || b == first {
		t.Errorf("numbers %d and %d, and %d lives", a, b, first)
	}
	if v, err := tab.get(first); v != "lives" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
}
