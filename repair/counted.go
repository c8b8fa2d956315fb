// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"lazystate/backdoor"
)

// Counted reads how many processes the target's kernel counts, itself: a
// witness of its own beside the walk and the sensor NPROCS, which is fed by
// tracepoints. ErrNoRegion or false: its agent published no such word.
func (p *Patient) Counted(ctx context.Context) (n uint64, ok bool, err error) {
	words, err := p.Target.Foreign(ctx)
	if err != nil {
		return 0, false, err
	}
	words = slices.DeleteFunc(words, func(w backdoor.Foreign) bool {
		return w.Name != backdoor.ProcessCounts && w.Name != backdoor.PerCPUOffsets
	})
	values, err := p.Target.ReadForeign(ctx, words)
	if err != nil {
		return 0, false, err
	}
	for _, v := range values {
		if v.Name == backdoor.ProcessCounts {
			n, ok = v.Uint64()
		}
	}
	return n, ok, nil
}

// witness compares the table with the kernel's own count: a walk that is short
// of many names the wrong culprit.
func (p *Plan) witness(ctx context.Context, patient *Patient, t *ProcessTable) error {
	n, ok, err := patient.Counted(ctx)
	switch {
	case Lost(err) || ctx.Err() != nil:
		return err
	case errors.Is(err, backdoor.ErrNoRegion) || err == nil && !ok:
		return nil
	case err != nil:
		p.Notes = append(p.Notes, fmt.Sprintf("the kernel's own count of processes cannot be read: %v", err))
		return nil
	}
	seen := uint64(len(t.Processes))
	if diff := max(n, seen) - min(n, seen); diff > uint64(t.Torn)+max(16, seen/8) {
		p.Notes = append(p.Notes, fmt.Sprintf("the kernel counts %d processes, the walk saw %d", n, seen))
	}
	return nil
}
