// SPDX-License-Identifier: Apache-2.0

package control

import (
	"fmt"
	"slices"
	"strings"

	"lazystate/backdoor/uapi"
)

const lastKnob = uapi.KnobSwappiness

// KnobNames lists the knobs, one word each.
func KnobNames() []string {
	var names []string
	for k := uint32(1); k <= lastKnob; k++ {
		names = append(names, strings.ReplaceAll(uapi.KnobName(k), " ", "-"))
	}
	return names
}

// KnobByName returns the knob of a name from KnobNames.
func KnobByName(name string) (uint32, error) {
	if i := slices.Index(KnobNames(), name); i >= 0 {
		return uint32(i + 1), nil
	}
	return 0, fmt.Errorf("no knob %q: want one of %s", name, strings.Join(KnobNames(), " "))
}

// KnobNamesProcess reports whether a knob's argument is a pid.
func KnobNamesProcess(k uint32) bool {
	return k == uapi.KnobNice || k == uapi.KnobSchedNormal || k == uapi.KnobSchedFIFO
}
