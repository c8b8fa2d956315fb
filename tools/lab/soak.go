// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"os"
	"strconv"
)

const (
	soakEnv = "LAZYSTATE_SOAK"
	seedEnv = "LAZYSTATE_SEED"
)

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

// Seed is what a suite draws from: 1, unless LAZYSTATE_SEED says otherwise.
func Seed() uint64 {
	if n, err := strconv.ParseUint(os.Getenv(seedEnv), 10, 64); err == nil {
		return n
	}
	return 1
}
