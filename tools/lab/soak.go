// SPDX-License-Identifier: Apache-2.0

package lab

import "os"

const soakEnv = "LAZYSTATE_SOAK"

// Soak reports whether make soak runs: all of what takes long.
func Soak() bool { return os.Getenv(soakEnv) != "" }

// Sample is the seed of those cases of a suite that make test tries; 0, all of
// them, in make soak.
func Sample() uint64 { return uint64(Count(1, 0)) }

// Count is how often a test does what it repeats: few times in make test, all
// in make soak.
func Count(few, all int) int {
	if Soak() {
		return all
	}
	return few
}
