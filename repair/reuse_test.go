// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"bytes"
	"testing"

	"lazystate/backdoor/bdtest"
	"lazystate/repair/policy"
)

// The culprit ends between the diagnosis and the freeze, and another process
// of the same user has its number now: that one is not who was accused.
func TestPIDReusedBeforeTheKill(t *testing.T) {
	m := newSick(t)
	big := m.target.AddProcess(bdtest.Proc{UID: 1001, Comm: "big", Swap: 50000})
	m.set(m.free, 10)
	reused := false
	m.log.fail = func(line []byte) error {
		if !reused && bytes.Contains(line, []byte(`"step":"freeze"`)) {
			reused = true
			m.target.RemoveProcess(big.PID)
			m.target.AddProcess(bdtest.Proc{PID: big.PID, UID: 1001, Comm: "innocent", StartTime: big.StartTime + 1})
			m.set(m.free, 100000)
		}
		return nil
	}
	r := m.treat(m.memHealer(policy.Basic{Kind: policy.PolicyMaxRSS, Limit: 1 << 20}), m.pressed())
	if !reused || r.Killed != 0 || !m.target.Alive(big.PID) {
		t.Errorf("reused %v, killed %d, the new process lives: %v", reused, r.Killed, m.target.Alive(big.PID))
	}
	m.innocent()
}
