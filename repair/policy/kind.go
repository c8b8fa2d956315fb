// SPDX-License-Identifier: Apache-2.0

package policy

import "fmt"

// Kind is one of the six policies of §3.7.2.
type Kind uint8

const (
	PolicyTooManyProcs     Kind = iota + 1 // the user with most tasks: processes and their threads; limit: tasks
	PolicyRateTooHigh                      // the user who forks fastest; limit: forks per second
	PolicyTreeTooDeep                      // the user with the deepest tree; limit: depth
	PolicyMaxRSS                           // the process with the largest footprint; limit: bytes
	PolicyMaxRSSUID                        // the user with the largest footprint; limit: bytes
	PolicyMaxRSSUIDSaveUID                 // the same, spared users filtered out first
)

var kindNames = []string{
	PolicyTooManyProcs:     "POLICY_TOO_MANY_PROCS",
	PolicyRateTooHigh:      "POLICY_RATE_TOO_HIGH",
	PolicyTreeTooDeep:      "POLICY_TREE_TOO_DEEP",
	PolicyMaxRSS:           "POLICY_MAX_RSS",
	PolicyMaxRSSUID:        "POLICY_MAX_RSSUID",
	PolicyMaxRSSUIDSaveUID: "POLICY_MAX_RSSUID_SAVEUID",
}

// String returns the dissertation's name.
func (k Kind) String() string {
	if k == 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("policy(%d)", uint8(k))
	}
	return kindNames[k]
}

// Memory reports whether the policy reclaims memory; the others repair the
// process table.
func (k Kind) Memory() bool { return k >= PolicyMaxRSS }

// filtersFirst reports whether the spared are out of the ranking before it is
// made. POLICY_MAX_RSS and POLICY_MAX_RSSUID rank everybody, as the OOM handler
// does; if the largest is spared then nobody is the culprit. Only
// POLICY_MAX_RSSUID_SAVEUID looks for the next one.
func (k Kind) filtersFirst() bool { return k != PolicyMaxRSS && k != PolicyMaxRSSUID }

func (k Kind) unit() string {
	switch k {
	case PolicyTooManyProcs:
		return "tasks"
	case PolicyRateTooHigh:
		return "forks/s"
	case PolicyTreeTooDeep:
		return "deep"
	}
	return "bytes"
}
