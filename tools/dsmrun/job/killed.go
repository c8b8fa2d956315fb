// SPDX-License-Identifier: Apache-2.0

package job

import (
	"regexp"
	"strconv"

	"lazystate/tools/dsmd/status"
)

var killed = regexp.MustCompile(`msg="is killed.* discarded=([0-9]+)`)

// Killed is true of the line in which a daemon says that it is killed as --kill asks,
// with the bytes of logs that it had discarded by then (§4.5).
func Killed(line string) (discarded int, ok bool) {
	m := killed.FindStringSubmatch(line)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	return n, err == nil
}

// Ends are the ordinals of the programs' last operations, by node. The one behind each
// is the daemon's own: its parting.
func Ends(reports []status.Report) (all []uint64) {
	for _, r := range reports {
		all = append(all, r.Ordinal-1)
	}
	return all
}
