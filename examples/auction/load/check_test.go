// SPDX-License-Identifier: Apache-2.0

package load

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Each thing that can be wrong is found, and nothing else.
func TestCompare(t *testing.T) {
	lost := errors.New("no reply")
	for name, c := range map[string]struct {
		have   map[string][]int64
		events []Event
		want   Verdict
	}{
		"done":                {map[string][]int64{"a": {1}}, []Event{{Kind: "bid", Key: "a", ID: 1}}, Verdict{Done: 1}},
		"missing":             {nil, []Event{{Kind: "bid", Key: "a", ID: 1}}, Verdict{Missing: []string{"bid a"}}},
		"another row":         {map[string][]int64{"a": {2}}, []Event{{Kind: "bid", Key: "a", ID: 1}}, Verdict{Missing: []string{"bid a"}}},
		"twice":               {map[string][]int64{"a": {1, 2}}, []Event{{Kind: "bid", Key: "a", ID: 1}}, Verdict{Twice: []string{"bid a"}}},
		"phantom":             {map[string][]int64{"a": {1}}, nil, Verdict{Phantom: []string{"bid a: [1]"}}},
		"refused, and there":  {map[string][]int64{"a": {1}}, []Event{{Kind: "bid", Key: "a", Refused: true}}, Verdict{Phantom: []string{"bid a"}}},
		"refused":             {nil, []Event{{Kind: "bid", Key: "a", Refused: true}}, Verdict{}},
		"no reply, and there": {map[string][]int64{"a": {1}}, []Event{{Kind: "bid", Key: "a", Err: lost}}, Verdict{}},
		"no reply, and twice": {map[string][]int64{"a": {1, 2}}, []Event{{Kind: "bid", Key: "a", Err: lost}}, Verdict{Twice: []string{"bid a"}}},
		"of another kind":     {nil, []Event{{Kind: "comment", Key: "a", ID: 1}}, Verdict{}},
		"one of two is there": {map[string][]int64{"a": {1}}, []Event{{Kind: "bid", Key: "a", ID: 1}, {Kind: "bid", Key: "b", ID: 2}}, Verdict{Done: 1, Missing: []string{"bid b"}}},
		"no reply, not there": {nil, []Event{{Kind: "bid", Key: "a", Err: lost}}, Verdict{}},
	} {
		t.Run(name, func(t *testing.T) {
			var v Verdict
			v.compare("bid", c.have, c.events)
			if diff := cmp.Diff(c.want, v, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			if v.Sound() != (len(c.want.Missing)+len(c.want.Twice)+len(c.want.Phantom) == 0) {
				t.Errorf("sound: %v", v.Sound())
			}
		})
	}
}
