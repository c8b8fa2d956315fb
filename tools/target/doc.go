// SPDX-License-Identifier: Apache-2.0

// Package target opens a target by its URL: it is the one place that knows
// every carrier (§3.3), so that all else sees backdoor.Memory.
//
//	inic:///dev/shm/vm1/ram          mapped guest RAM; its BAR is the file bar beside it
//	inic:///run/vm1/ram?bar=/run/vm1/bar&pid=4711&machine=pc
//	lab:name                         a machine of tools/lab, found by its state
//	rdma://host:port?monitor=1&key=/etc/lazystate/keys/t1
//	rdma://10.0.0.7?provider=roce&device=10.0.0.2&pool=8&timeout=14
//
// Over RDMA a monitor says who it is: slot and key are in the URL or in Options.
// Without a provider, an RDMA device that has the address which the route to the
// target begins at is taken (ibv), else RoCEv2 in this process (roce), which needs
// that address's UDP port 4791 for itself. A device that cannot be opened is passed
// over, and the log says why.
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
