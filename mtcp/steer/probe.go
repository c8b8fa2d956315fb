// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
)

// needs is what the programs cannot do without.
var needs = []struct {
	what, since string
	probe       func() error
}{
	{"programs of traffic control", "4.1", func() error { return features.HaveProgramType(ebpf.SchedCLS) }},
	{"ring buffers", "5.8", func() error { return features.HaveMapType(ebpf.RingBuf) }},
	{"bpf_skc_lookup_tcp", "5.2", helper(asm.FnSkcLookupTcp)},
	{"bpf_tcp_sock", "5.1", helper(asm.FnTcpSock)},
	{"bpf_redirect_neigh", "5.10", helper(asm.FnRedirectNeigh)},
	{"bpf_ktime_get_coarse_ns", "5.11", helper(asm.FnKtimeGetCoarseNs)},
	{"bpf_loop", "5.17", helper(asm.FnLoop)},
}

func helper(fn asm.BuiltinFunc) func() error {
	return func() error { return features.HaveProgramHelper(ebpf.SchedCLS, fn) }
}

// Probe says by name what this kernel lacks: each is an *UnsupportedError. nil
// is a kernel that can do it all, by TCX or by clsact.
func Probe() error {
	var all []error
	for _, n := range needs {
		if err := n.probe(); errors.Is(err, ebpf.ErrNotSupported) {
			all = append(all, &UnsupportedError{n.what, n.since, err})
		} else if err != nil {
			all = append(all, fmt.Errorf("probe for %s: %w", n.what, err))
		}
	}
	return errors.Join(all...)
}
