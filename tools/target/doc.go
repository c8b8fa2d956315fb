// SPDX-License-Identifier: Apache-2.0

// Package target opens a target by its URL: it is the one place that knows
// every carrier (§3.3), so that all else sees backdoor.Memory.
//
//	inic:///dev/shm/vm1/ram          mapped guest RAM; its BAR is the file bar beside it
//	inic:///run/vm1/ram?bar=/run/vm1/bar&pid=4711&machine=pc
//	lab:name                         a machine of tools/lab, found by its state
//	rdma://host:port                 *NotSupportedError until the carrier is there
//
// The trap: files outlive machines. An inic URL without a pid believes the
// files as long as they are linked; with it, or with lab:, death is seen.
//
//	m, err := target.Open(ctx, "lab:t1", target.Options{Writable: true})
//	if errors.Is(err, backdoor.ErrReadOnly) {
//		m, err = target.Open(ctx, "lab:t1", target.Options{})
//	}
//	if err != nil {
//		return err
//	}
//	defer m.Close()
package target
