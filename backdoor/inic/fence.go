// SPDX-License-Identifier: Apache-2.0

package inic

import (
	"context"
	"fmt"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

// fences reports whether a write has completed a monitor's request for the fence.
// The intelligent NIC is the machine's own way to the network, so it need not wait
// for CPUs that may stand now and run later (§3.5.1): it sees the request go by.
// What the record says is the target's to judge; who may not fence does not come
// so far.
func (m *Memory) fences(r *backdoor.Region, op *backdoor.Op) bool {
	if m.opts.CutPort == nil || r.Kind != uapi.KindFence || op.Kind != backdoor.OpWrite {
		return false
	}
	first := (op.Addr - r.Addr) % uapi.LockReqSize
	return first <= uapi.LockReqCommitOff && first+uint64(len(op.Buf)) > uapi.LockReqCommitOff
}

// cutPort comes after the write: also where it fails, the target's CPUs are asked.
func (m *Memory) cutPort(ctx context.Context) error {
	if err := m.opts.CutPort(ctx); err != nil {
		return fmt.Errorf("cut the port of target %s: %w", m.opts.RAMPath, err)
	}
	return nil
}
