// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"testing"
	"time"

	"lazystate/verbs/driver"
)

// A message may come, and wait for a receive, before the peer's segment is
// there for the other direction: its coming does not end the sender's retries.
func TestRetriesOutliveTheOpening(t *testing.T) {
	x, y := connected(t)
	x.mine(func(e *engine) { e.qp.Attr.RNRRetry = 1 })
	y.mine(func(e *engine) { e.qp.Attr.MinRNRTimer = 0 }) // 655 ms
	x.post(driver.OpSend, y)
	var e *engine
	for waits := false; !waits; time.Sleep(100 * time.Microsecond) {
		y.mine(func(of *engine) { e, waits = of, of.starving })
	}
	var far mapping
	y.mine(func(e *engine) { far, e.far = e.far, mapping{} })
	e.opened(far, e.farPD)
	if st := x.wait(); st != driver.WCRNRRetryExcErr {
		t.Error(st)
	}
}
