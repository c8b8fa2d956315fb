// SPDX-License-Identifier: Apache-2.0

package water

import (
	"errors"
	"flag"
	"math"
)

// Size is what both programs are given.
type Size struct {
	Side  int // molecules along an edge of the box
	Steps int
}

func (s *Size) Flags(fs *flag.FlagSet) {
	fs.IntVar(&s.Side, "side", 6, "molecules along an edge of the box")
	fs.IntVar(&s.Steps, "steps", 10, "steps in time of 0.2 fs")
}

func (s *Size) Check() error {
	if s.Side < 2 || s.Side > 200 || s.Steps < 1 {
		return errors.New("2 to 200 molecules along an edge, 1 step or more")
	}
	return nil
}

// molecules is how many there are.
func (s *Size) molecules() int { return s.Side * s.Side * s.Side }

func (s *Size) box() box { return newBox(spacing * float64(s.Side)) }

// box is periodic space: each molecule has images in all boxes around.
type box struct {
	edge   float64
	cutoff float64 // beyond it molecules do not see each other
	fade   float64 // from here on less and less
}

func newBox(edge float64) box {
	cutoff := math.Min(reach, edge/2)
	return box{edge, cutoff, 0.8 * cutoff}
}

// image is what to add to a distance along one axis to have the nearest image's.
func (b box) image(d float64) float64 { return -b.edge * math.RoundToEven(d/b.edge) }

// wrap is what to add to a position to have it in the box.
func (b box) wrap(x float64) float64 { return -b.edge * math.Floor(x/b.edge) }
