// SPDX-License-Identifier: Apache-2.0

package link

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Faults of both directions alike, as probabilities for each frame.
type Faults struct {
	Loss      float64
	Duplicate float64
	Reorder   float64       // the frame comes Late after its turn
	Late      time.Duration // 1 ms if 0
	Delay     time.Duration // of every frame
	Rate      int           // bytes a second; 0: as fast as it goes
	Cut       bool          // nothing passes
}

// mostQueued is how long a frame may wait for its turn at a Rate; a longer
// queue is full, as a switch's is.
const mostQueued = 200 * time.Millisecond

func (f Faults) check() error {
	for _, p := range []float64{f.Loss, f.Duplicate, f.Reorder} {
		if !(p >= 0 && p <= 1) {
			return fmt.Errorf("faults of a link: %v is not from 0 to 1", p)
		}
	}
	if f.Delay < 0 || f.Late < 0 || f.Rate < 0 {
		return fmt.Errorf("faults of a link: a negative time or rate")
	}
	return nil
}

// fate draws what happens to the frames of one direction.
type fate struct {
	rand *rand.Rand
	free time.Duration // when the wire has sent what was given to it
}

func newFate(seed, direction uint64) *fate {
	return &fate{rand: rand.New(rand.NewPCG(seed, direction))}
}

// draw returns after how long each copy of a frame arrives that begins its way
// now; none: it is lost. Each frame takes the same draws whatever becomes of it,
// so that one fault does not move the others.
func (f *fate) draw(w Faults, n int, now time.Duration) []time.Duration {
	lost, twice, late := f.rand.Float64() < w.Loss, f.rand.Float64() < w.Duplicate, f.rand.Float64() < w.Reorder
	if w.Cut || lost {
		return nil
	}
	wait := time.Duration(0)
	if w.Rate > 0 {
		if f.free-now > mostQueued {
			return nil
		}
		f.free = max(f.free, now) + time.Duration(n)*time.Second/time.Duration(w.Rate)
		wait = f.free - now
	}
	wait += w.Delay
	if late {
		wait += max(w.Late, time.Millisecond)
	}
	if twice {
		return []time.Duration{wait, wait}
	}
	return []time.Duration{wait}
}
