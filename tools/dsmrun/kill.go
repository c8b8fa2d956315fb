// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"
)

// life is one of a node: its first is 1.
type life struct{ node, number int }

// parseKills reads NODE@OP, of the first life, and NODE@OP/LIFE: at which operation each
// is to end. Operations count from the program's beginning in every life, so one that
// is killed before the operation where its predecessor was dies in its replay, unless it
// begins at a checkpoint behind that operation: then it is not killed, and dsmd says so.
func parseKills(list []string, nodes int) (map[life]uint64, error) {
	kills := map[life]uint64{}
	for _, s := range list {
		l, op, ok := parseKill(s)
		if !ok || l.node >= nodes {
			return nil, fmt.Errorf("%q is no NODE@OP or NODE@OP/LIFE with one of %d nodes", s, nodes)
		}
		if _, twice := kills[l]; twice {
			return nil, fmt.Errorf("life %d of node %d is killed twice", l.number, l.node)
		}
		kills[l] = op
	}
	return kills, nil
}

func parseKill(s string) (l life, op uint64, ok bool) {
	l.number = 1
	node, at, ok := strings.Cut(s, "@")
	at, number, later := strings.Cut(at, "/")
	var bad [3]error
	l.node, bad[0] = strconv.Atoi(node)
	op, bad[1] = strconv.ParseUint(at, 10, 64)
	if later {
		l.number, bad[2] = strconv.Atoi(number)
	}
	return l, op, ok && bad == [3]error{} && l.node >= 0 && op > 0 && l.number > 0
}
