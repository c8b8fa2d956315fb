// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"lazystate/bench/result"
	"lazystate/dsm"
)

// sample is the log on stable storage with one checkpoint of a node.
type sample struct {
	number  int
	log     float64 // bytes of diffs
	without float64 // that there would be without LLT
}

var checkpoint = regexp.MustCompile(`msg="has a checkpoint" .*number=(\d+) .*logs=(\d+) of=(\d+)`)

// dynamics is of one node, as the paper's.
func dynamics(ctx context.Context, b *bed) (*result.Figure, error) {
	const node = dsm.NodeID(1)
	fig := &result.Figure{Name: "fig48", Title: "Figure 4.8: the diff log on stable storage, checkpoint by checkpoint", X: "checkpoint", Y: "MB"}
	fig.Notef("of %v; \"without LLT\" is all that was saved so far", node)
	b.debug = true
	for _, a := range apps {
		got, err := b.all(ctx, a, policies[overflow:aligned])
		if err != nil {
			return nil, err
		}
		logs, without := map[int][]float64{}, map[int][]float64{}
		most := 0
		for _, m := range got[policies[overflow].name] {
			for _, s := range read(m.log, node) {
				logs[s.number] = append(logs[s.number], s.log/mb)
				without[s.number] = append(without[s.number], s.without/mb)
				most = max(most, s.number)
			}
		}
		if most == 0 {
			return nil, fmt.Errorf("%s took no checkpoint", a.name)
		}
		for i := 1; i <= most; i++ {
			fig.Add(a.name, float64(i), logs[i])
			fig.Add(a.name+", without LLT", float64(i), without[i])
		}
	}
	return fig, nil
}

// read finds a node's checkpoints in the daemons' log.
func read(log []string, node dsm.NodeID) (all []sample) {
	who := fmt.Sprintf(" node=%v ", node)
	for _, line := range log {
		m := checkpoint.FindStringSubmatch(line)
		if m == nil || !strings.Contains(line, who) {
			continue
		}
		var v [3]float64
		for i := range v {
			v[i], _ = strconv.ParseFloat(m[i+1], 64) // they are digits
		}
		all = append(all, sample{int(v[0]), v[1], v[2]})
	}
	return all
}
