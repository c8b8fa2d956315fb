// SPDX-License-Identifier: Apache-2.0

// Package rdma is the carrier over RDMA (§3.3): a target's memory read and written
// by one-sided work requests of package verbs, answered by its module on any RDMA
// device (backdoor_rdma.ko) or by tools/bdnic in its place.
//
// A connection is one grant of the target's (kmod/uapi/bd_rdma.h) with several
// queue pairs that share its keys. A monitor's samples go each on a queue pair of
// their own from a pool, so that one that is stuck in retries holds up no other
// (DECISION 25); all else goes in order on one more. One goroutine takes the
// completions. A queue pair that fails is connected again in the background; where
// the grant is gone with it, keys are translated to those of the new one, and a
// target that was rebooted meanwhile shows as ErrReplaced.
//
// The trap: no answer says nothing. It is backdoor.ErrUnanswered, whether the path
// is cut, the target hangs where its carrier needs a CPU (Caps.NeedsCPU), or it is
// off; what a target says of itself (ErrReplaced, ErrWithdrawn) is another matter.
// And an operation that was not answered may have been carried out.
//
//	m, err := rdma.Open(ctx, rdma.Options{Device: dev, Remote: addr, Monitor: 1, Key: key, Writable: true})
//	if err != nil {
//		return err
//	}
//	defer m.Close()
//	t, err := backdoor.Open(ctx, m)
package rdma
