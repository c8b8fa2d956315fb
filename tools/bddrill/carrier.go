// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"lazystate/backdoor"
	"lazystate/internal/leash"
	"lazystate/tools/bdmon/daemon"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
	"lazystate/tools/target"
)

// carrier is how the monitor reaches the target.
type carrier string

const (
	inic     carrier = "inic"      // the target's memory, mapped
	bdnic    carrier = "bdnic"     // a bdnic beside the target, and RoCEv2 in the monitor
	bdnicRXE carrier = "bdnic-rxe" // the same target, the monitor in a second machine with rdma_rxe
	roce     carrier = "roce"      // rdma_rxe and backdoor_rdma.ko on the target, RoCEv2 in the monitor
	rdma     carrier = "rdma"      // the same target, the monitor in a second machine with rdma_rxe
)

var carriers = []carrier{inic, bdnic, bdnicRXE, roce, rdma}

func carrierNames() string {
	var all []string
	for _, c := range carriers {
		all = append(all, string(c))
	}
	return strings.Join(all, ", ")
}

// Addresses in the drill's network.
const (
	targetAddr  = "10.77.0.1"
	monitorAddr = "10.77.0.2" // of a machine; of this host:
	hostAddr    = "10.77.0.254"
	nicAddr     = "10.77.0.253"
)

// wire puts the target into a network if the carrier needs one.
func (c carrier) wire(config lab.Config) lab.Config {
	switch c {
	case bdnic, bdnicRXE:
		config.NICs = []lab.NIC{{Addr: targetAddr + "/24"}}
	case roce, rdma:
		config.NICs = []lab.NIC{{Addr: targetAddr + "/24", RXE: true}}
		config.Modules = append(config.Modules, "rdma_rxe", "rdma_cm")
		// The lock leaves the CPU that answers running: nobody may fork on it.
		config.Append = strings.TrimSpace(config.Append + " isolcpus=domain,0")
	}
	return config
}

// agent is what bdagent must do for the carrier.
func (c carrier) agent() []string {
	if c == roce || c == rdma {
		return []string{"--nic", "eth0"}
	}
	return nil
}

// way is one target's, as bdmon needs it.
type way struct {
	url, netns string
	monitor    *lab.VM // bdmon runs in it; nil: on this host
	ends       []func() error
}

func (w *way) close() error {
	var errs []error
	for i := len(w.ends) - 1; i >= 0; i-- {
		errs = append(errs, w.ends[i]())
	}
	w.ends = nil
	return errors.Join(errs...)
}

// connect makes the way from the monitor to a machine that runs the module.
func (m *machine) connect(ctx context.Context, r *runner) error {
	net := m.vm.Config().Net
	over := func(from, to string) { m.way.url, m.way.netns = fromHost(from, to), lab.NetnsPath(net) }
	switch r.carrier {
	case bdnic:
		over(hostAddr, nicAddr)
		return m.startNIC(ctx, r)
	case bdnicRXE:
		m.way.url = fmt.Sprintf("rdma://%s:7777?provider=ibv&device=rxe0", nicAddr)
		return errors.Join(m.startNIC(ctx, r), m.bootMonitor(ctx, r))
	case roce:
		over(hostAddr, targetAddr)
		return errors.Join(lab.HostAddr(net, "br0", hostAddr+"/24"), m.insertRDMA(ctx, r))
	case rdma:
		m.way.url = fmt.Sprintf("rdma://%s:7777?provider=ibv&device=rxe0", targetAddr)
		return errors.Join(m.insertRDMA(ctx, r), m.bootMonitor(ctx, r))
	}
	return nil
}

// insertRDMA loads the module's RDMA side.
func (m *machine) insertRDMA(ctx context.Context, r *runner) error {
	return m.vm.Insmod(ctx, filepath.Join(r.modules, m.vm.Release(), "rdma", "backdoor_rdma.ko"))
}

// fromHost is a target's URL for who has an address in the machine's network.
func fromHost(from, to string) string {
	return fmt.Sprintf("rdma://%s:7777?provider=roce&device=%s", to, from)
}

// diagnosable carriers answer for a machine whatever its kernel does.
func (c carrier) diagnosable() bool { return c == inic || c == bdnic || c == bdnicRXE }

// writer opens the machine as its one writer, for this process and while no monitor
// is: where a bdnic has that place, by the bdnic.
func (m *machine) writer(ctx context.Context, c carrier) (backdoor.Memory, *backdoor.Target, error) {
	if c == inic {
		mem, t, err := armed.Open(ctx, m.vm, true)
		if err != nil {
			return nil, nil, err
		}
		return mem, t, nil
	}
	var mem backdoor.Memory
	err := lab.InNetns(m.vm.Config().Net, func() (err error) {
		mem, err = target.Open(ctx, fromHost(hostAddr, nicAddr), target.Options{Key: m.key, Writable: true, Takeover: true})
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	t, err := backdoor.Open(ctx, mem)
	if err != nil {
		return nil, nil, errors.Join(err, mem.Close())
	}
	return mem, t, nil
}

// startNIC starts bdnic beside the machine, in its network.
func (m *machine) startNIC(ctx context.Context, r *runner) error {
	net := m.vm.Config().Net
	if err := errors.Join(lab.HostAddr(net, "br0", hostAddr+"/24"), lab.HostAddr(net, "br0", nicAddr+"/24")); err != nil {
		return err
	}
	dir := filepath.Join(r.state, m.vm.Name())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	keys, file := filepath.Join(dir, "keys"), filepath.Join(dir, "bdnic.yaml")
	text, err := json.Marshal(map[string]any{
		"target": "lab:" + m.vm.Name(), "keys": keys, "metrics": "-",
		"listen": []any{map[string]any{"device": "roce://" + nicAddr, "address": nicAddr + ":7777"}},
	})
	if err == nil {
		err = errors.Join(os.WriteFile(keys, fmt.Appendf(nil, "0 %x\n", m.key[:]), 0o600), os.WriteFile(file, text, 0o600))
	}
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(dir, "bdnic.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	cmd := exec.CommandContext(ctx, "nsenter", "--net="+lab.NetnsPath(net), r.nic, "--config", file)
	cmd.Stderr = io.MultiWriter(log, r.stderr())
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	wait, err := leash.Start(cmd, syscall.SIGTERM)
	if err != nil {
		cancel()
		return errors.Join(fmt.Errorf("start bdnic: %w", err), log.Close())
	}
	m.way.ends = append(m.way.ends, func() error {
		cancel()
		err := wait()
		if errors.Is(err, context.Canceled) {
			err = nil
		}
		return errors.Join(err, log.Close())
	})
	return nil
}

// bootMonitor boots the monitor's own machine, with rdma_rxe and libibverbs.
func (m *machine) bootMonitor(ctx context.Context, r *runner) error {
	vm, err := lab.Up(ctx, m.vm.Name()+"-m", lab.Config{
		Kernel: r.kernel, VCPUs: 1, MemMiB: 256, Net: m.vm.Config().Net,
		NICs:  []lab.NIC{{Addr: monitorAddr + "/24", RXE: true}},
		Files: map[string]string{daemon.GuestMonitor: r.monitor, daemon.GuestPipe: r.pipe},
	})
	if err != nil {
		return fmt.Errorf("boot the monitor: %w", err)
	}
	m.way.monitor = vm
	m.way.ends = append(m.way.ends, vm.Down)
	return nil
}
