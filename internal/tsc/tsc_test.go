// SPDX-License-Identifier: Apache-2.0

package tsc

import (
	"testing"
	"time"
)

// TestKHz: over a longer time the counter advances as the short measurement says.
func TestKHz(t *testing.T) {
	khz := KHz()
	a := now()
	time.Sleep(300 * time.Millisecond)
	b := now()
	want := float64(b.at-a.at) / float64(time.Millisecond) * float64(khz)
	if got := float64(b.tsc - a.tsc); got < 0.998*want || got > 1.002*want {
		t.Errorf("%d kHz says %.0f ticks, there were %.0f", khz, want, got)
	}
}
