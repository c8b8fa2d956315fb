// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"fmt"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
	"lazystate/tools/target"
	"lazystate/verbs/roce/netio"
)

// carrier is a way to read a machine of the lab.
type carrier struct {
	name  string
	fence time.Duration // most time for its CPUs to answer
	rxe   bool          // its NIC is a device in software
	open  func(v *victim) backdoor.Memory
}

// Two that cut the machine's port, so that nobody need wait for CPUs, and one that
// needs a CPU of it.
var (
	mapped = carrier{name: "mapped memory", fence: time.Second, open: (*victim).mapped}
	bdnic  = carrier{name: "bdnic", fence: time.Second, open: func(v *victim) backdoor.Memory { return v.byNIC(v.mapped(), netio.Faults{}) }}
	rxe    = carrier{name: "rxe", fence: hang, rxe: true, open: (*victim).byRXE}
)

const (
	victimAddr  = "10.9.0.3"
	monitorAddr = "10.9.0.254"
)

// machine is what boots.
func (c carrier) machine(kernel string) lab.Config {
	vm := lab.Config{Kernel: kernel, NICs: []lab.NIC{{Addr: victimAddr + "/24", RXE: c.rxe}}}
	if c.rxe {
		vm.Modules = []string{"rdma_rxe", "rdma_cm"}
	}
	return vm
}

// mapped is its memory, mapped.
func (v *victim) mapped() backdoor.Memory {
	v.t.Helper()
	return v.opened(target.Open(v.t.Context(), "lab:"+v.vm.Name(), target.Options{Writable: true}))
}

func (v *victim) opened(m backdoor.Memory, err error) backdoor.Memory {
	v.t.Helper()
	v.must(err)
	v.t.Cleanup(func() { m.Close() })
	return m
}

// byRXE has the machine's own kernel answer on its network, of which this host is a
// member.
func (v *victim) byRXE() (m backdoor.Memory) {
	v.t.Helper()
	ctx, net := v.t.Context(), v.vm.Config().Net
	_, err := v.vm.Must(ctx, armed.Agent, "--nic", "eth0", "--once")
	v.must(err)
	v.must(v.vm.Insmod(ctx, lab.Module(v.t, v.vm, "backdoor_rdma")))
	v.must(lab.HostAddr(net, "br0", monitorAddr+"/24"))
	url := fmt.Sprintf("rdma://%s:%d?provider=roce&device=%s", victimAddr, uapi.RDMAPort, monitorAddr)
	v.must(lab.InNetns(net, func() error {
		m, err = target.Open(ctx, url, target.Options{Slot: slot, Key: key, Writable: true})
		return err
	}))
	return v.opened(m, nil)
}
