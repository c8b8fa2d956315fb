// SPDX-License-Identifier: Apache-2.0

package verbstest

import (
	"errors"
	"testing"

	"lazystate/verbs"
)

// testLacks: what a device does not say that it has answers ErrNotSupported.
func testLacks(t *testing.T, b *bench) {
	for _, d := range []*verbs.Device{b.a, b.b} {
		pd := must(d.AllocPD())(t)
		cq := must(d.CreateCQ(2, nil))(t)
		t.Cleanup(func() { closeAll(t, cq, pd) })
		for _, c := range []struct {
			call string
			has  verbs.Caps
			do   func() error
		}{
			{"CreateSRQ", verbs.CapSRQ, func() error { _, err := pd.CreateSRQ(1, 1); return err }},
			{"AllocMW", verbs.CapWindows, func() error { _, err := pd.AllocMW(); return err }},
			{"CreateAH", verbs.CapUD, func() error { _, err := pd.CreateAH(&verbs.AHAttr{Port: 1}); return err }},
			{"CreateUDQP", verbs.CapUD, func() error { _, err := pd.CreateUDQP(&verbs.QPInitAttr{SendCQ: cq}, 1); return err }},
			{"RegHandler", verbs.CapHandler, func() error { _, err := pd.RegHandler(nil, 0, 4096, verbs.AccessRemoteRead); return err }},
			{"NextEvent", verbs.CapEvents, func() error { _, err := d.NextEvent(b.ctx); return err }},
			{"Listen", verbs.CapCM, func() error { _, err := d.Listen(b.Listen); return err }},
		} {
			if d.Has(c.has) {
				continue
			}
			if err := c.do(); !errors.Is(err, verbs.ErrNotSupported) {
				t.Errorf("%s of %v: %v, not that it is not supported", c.call, d, err)
			}
		}
	}
}
