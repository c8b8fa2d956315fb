// SPDX-License-Identifier: Apache-2.0

package lab

import "os"

// Soak reports whether make soak runs: all of what takes long.
func Soak() bool { return os.Getenv("LAZYSTATE_SOAK") != "" }

// Count is how often a test does what it repeats: few times in make test, all
// in make soak.
func Count(few, all int) int {
	if Soak() {
		return all
	}
	return few
}
