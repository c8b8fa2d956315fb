// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/bench/result"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
	"lazystate/tools/lab/link"
	"lazystate/tools/target"
)

// Carrier is a way to a target's memory.
type Carrier string

const (
	RXE   Carrier = "rxe"    // rdma_rxe and backdoor_rdma.ko on the target, RoCEv2 in this process
	BDNIC Carrier = "bdnic"  // a bdnic beside the target, RoCEv2 in this process
	INIC  Carrier = "mapped" // the target's memory, mapped
)

// Carriers are those of a Wired.
var Carriers = []Carrier{RXE, BDNIC, INIC}

// slots are the monitors' of the carriers; Other is one more.
var slots = map[Carrier]uint32{RXE: 0, BDNIC: 1, INIC: 2}

// Other is the slot of a monitor that is none of a Wired's carriers; it has a key
// with the target and with bdnic.
const Other = 3

// Addresses of a Wired's network. The monitors' and the target's sides are two
// bridges with a link between: the target and its bdnic on the far one.
const (
	TargetAddr   = "10.77.0.1"
	bdnicAddr    = "10.77.0.253"
	monitorAddr  = "10.77.0.254"
	prefix       = "10.77.0.0/24"
	nearBridge   = "br1"
	farBridge    = "br0"
	bdnicTAP     = "bdnic"
	bdnicProgram = "tools/bdnic"
)

// Wired is a target that can be reached by every carrier at once.
type Wired struct {
	VM   *lab.VM
	Link *link.Link
	Keys armed.Keys
	nic  *Daemon
	dir  string // of bdnic's files
	args []string
}

// WiredConfig is what a bench wants of its Wired.
type WiredConfig struct {
	Name   string
	Build  []string   // commands that the target needs beside Lab.Files
	Lab    lab.Config // one of both needs bdagent
	Limits string     // the target's contract
	Seed   uint64     // of the link
	NIC    string     // the bdnic program on this host; "": it is built
}

// Wire boots a target and prepares all three ways to it.
func Wire(ctx context.Context, c WiredConfig) (w *Wired, err error) {
	if c.NIC == "" {
		if c.NIC, err = NIC(ctx); err != nil {
			return nil, err
		}
	}
	files, done, err := Programs(ctx, c.Build...)
	if err != nil {
		return nil, err
	}
	defer done() // they are in the target's image then
	maps.Copy(files, c.Lab.Files)
	c.Lab.Files = files
	c.Lab.NICs = []lab.NIC{{Addr: TargetAddr + "/24", RXE: true, Bridge: farBridge}}
	c.Lab.Modules = append(c.Lab.Modules, "rdma_rxe", "rdma_cm")
	// The lock leaves the CPU that answers running: nobody may fork on it.
	c.Lab.Append += " isolcpus=domain,0"
	vm, err := lab.Up(ctx, c.Name, c.Lab)
	if err != nil {
		return nil, err
	}
	w = &Wired{VM: vm, Keys: armed.Keys{}, args: []string{"--nic", "eth0", "--allow-repair"}}
	if c.Limits != "" {
		w.args = append(w.args, "--limits", c.Limits)
	}
	for slot := range uint32(Other + 1) {
		var key uapi.Key
		rand.Read(key[:])
		w.Keys[slot] = key
	}
	err = w.wire(c)
	if err == nil {
		err = w.Arm(ctx)
	}
	if err == nil {
		w.nic, err = startNIC(ctx, w, c.NIC)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("wire %s: %w", c.Name, err), w.Close())
	}
	return w, nil
}

// wire makes the network around the target.
func (w *Wired) wire(c WiredConfig) (err error) {
	if w.dir, err = os.MkdirTemp("", "lazystate-bench-"); err != nil {
		return err
	}
	net := w.VM.Config().Net
	if w.Link, err = link.Open(link.Options{Net: net, Near: nearBridge, Far: farBridge, Seed: c.Seed}); err != nil {
		return err
	}
	return errors.Join(lab.HostAddr(net, nearBridge, monitorAddr+"/24"), lab.Plug(net, farBridge, bdnicTAP))
}

// Arm starts the agent and loads both modules, as the target's own boot would:
// after the first and after each later one.
func (w *Wired) Arm(ctx context.Context) error {
	ko, err := w.VM.ModuleFile("backdoor")
	if err != nil {
		return err
	}
	if err := armed.Serve(ctx, w.VM, ko, w.Keys, w.args...); err != nil {
		return err
	}
	if ko, err = w.VM.ModuleFile("backdoor_rdma"); err != nil {
		return err
	}
	return w.VM.Insmod(ctx, ko)
}

// StopNIC ends bdnic, which gives up the one writer's place.
func (w *Wired) StopNIC() error {
	if w.nic == nil {
		return nil
	}
	nic := w.nic
	w.nic = nil
	return nic.Stop()
}

// Machine describes host and target.
func (w *Wired) Machine() result.Machine { return MachineOf(w.VM) }

// URL of the target by a carrier.
func (w *Wired) URL(c Carrier) string {
	switch c {
	case RXE:
		return fmt.Sprintf("rdma://%s:%d?provider=roce&device=%s", TargetAddr, uapi.RDMAPort, monitorAddr)
	case BDNIC:
		return fmt.Sprintf("rdma://%s:%d?provider=roce&device=%s", bdnicAddr, uapi.RDMAPort, monitorAddr)
	}
	return "lab:" + w.VM.Name()
}

// Who is the monitor of a carrier.
func (w *Wired) Who(c Carrier) (slot uint32, key uapi.Key) { return slots[c], w.Keys[slots[c]] }

// Open opens the target by a carrier, as its monitor.
func (w *Wired) Open(ctx context.Context, c Carrier, writable bool) (backdoor.Memory, error) {
	slot, _ := w.Who(c)
	return w.OpenAs(ctx, c, slot, writable)
}

// OpenAs opens the target as a monitor of one's choice.
func (w *Wired) OpenAs(ctx context.Context, c Carrier, slot uint32, writable bool) (m backdoor.Memory, err error) {
	err = lab.InNetns(w.VM.Config().Net, func() error {
		m, err = target.Open(ctx, w.URL(c), target.Options{Slot: slot, Key: w.Keys[slot], Writable: writable})
		return err
	})
	return m, err
}

// words say what the network looks like, where a carrier finds no way through it.
func (w *Wired) words() string {
	said := ""
	if w.nic != nil {
		said = w.nic.said()
	}
	return fmt.Sprintf("link %+v; bdnic: %s", w.Link.Stats(), said)
}

// Close ends bdnic, the link and the machine.
func (w *Wired) Close() error {
	err := w.StopNIC()
	if w.Link != nil {
		err = errors.Join(err, w.Link.Close())
	}
	if w.dir != "" {
		err = errors.Join(err, os.RemoveAll(w.dir))
	}
	return errors.Join(err, w.VM.Down())
}

// NIC builds bdnic for this host and returns its path.
func NIC(ctx context.Context) (path string, err error) {
	return lab.Program(ctx, "bdnic", "lazystate/"+bdnicProgram)
}
