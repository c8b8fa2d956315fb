// SPDX-License-Identifier: Apache-2.0

package tsc

import (
	"sync"
	"time"
)

func read() uint64

const (
	span  = 50 * time.Millisecond
	tries = 64
)

var epoch = time.Now()

// mark is one reading of both clocks.
type mark struct {
	tsc uint64
	at  time.Duration
}

// now reads both clocks as close together as it can: of many tries the one
// that was interrupted least.
func now() (best mark) {
	least := time.Hour
	for range tries {
		before := time.Since(epoch)
		t := read()
		after := time.Since(epoch)
		if after-before < least {
			least, best = after-before, mark{t, before + (after-before)/2}
		}
	}
	return best
}

// KHz returns the counter's frequency, measured once against CLOCK_MONOTONIC.
var KHz = sync.OnceValue(func() uint64 {
	a := now()
	time.Sleep(span)
	b := now()
	return (b.tsc - a.tsc) * uint64(time.Millisecond) / uint64(b.at-a.at)
})
