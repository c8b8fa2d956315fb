// SPDX-License-Identifier: Apache-2.0

package job

import "testing"

func TestKilled(t *testing.T) {
	for line, want := range map[string]int{
		`time=x level=WARN msg="is killed, as was asked for" node=P1 incarnation=1 operation=7 live=true checkpoints=2 discarded=34`: 34,
		`time=x level=WARN msg="is not killed as was asked for: its checkpoint has that operation behind it" node=P1`:                -1,
		`time=x level=DEBUG msg="has a checkpoint" discarded=9`:                                                                      -1,
	} {
		if got, ok := Killed(line); ok != (want >= 0) || ok && got != want {
			t.Errorf("%s: %d, %v", line, got, ok)
		}
	}
}
