// SPDX-License-Identifier: Apache-2.0

package mem_test

import (
	"testing"
	"time"

	"lazystate/tools/lab"
	"lazystate/verbs/driver"
	"lazystate/verbs/mem"
	"lazystate/verbs/verbstest"
)

func TestMain(m *testing.M) { verbstest.Main(m) }

func pair(f mem.Faults) verbstest.Pair {
	return verbstest.Pair{
		Open: func(*testing.T) (driver.Device, driver.Device) {
			n := mem.NewNetwork(f)
			return n.Device(), n.Device()
		},
		Vanish: func(t *testing.T, b driver.Device) {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		},
		Lossy: f.Loss > 0,
	}
}

func TestConformance(t *testing.T) {
	t.Parallel() // with the other, which waits for what was lost
	verbstest.Run(t, pair(mem.Faults{}))
}

func TestConformanceOverABadNetwork(t *testing.T) {
	t.Parallel()
	p := pair(mem.Faults{Seed: 7, Loss: 0.02, Dup: 0.03, Reorder: 0.1})
	p.MaxSize = 256 << 10 // a message is one packet here: larger ones show nothing new
	verbstest.Run(t, p)
}

// Who asks waits for each answer, and what was asked last waits behind it.
func TestConformanceOverALongWay(t *testing.T) {
	t.Parallel()
	p := pair(mem.Faults{Delay: 500 * time.Microsecond})
	p.MaxSize, p.Sample = 256<<10, lab.Sample()
	verbstest.Run(t, p)
}
