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

	"lazystate/internal/leash"
	"lazystate/tools/bdmon/daemon"
	"lazystate/tools/lab"
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
	over := func(from, to string) {
		m.way.url, m.way.netns = fmt.Sprintf("rdma://%s:7777?provider=roce&device=%s", to, from), lab.NetnsPath(net)
	}
	switch r.carrier {
	case bdnic:
		over(hostAddr, nicAddr)
		err := errors.Join(lab.HostAddr(net, "br0", hostAddr+"/24"), lab.HostAddr(net, "br0", nicAddr+"/24"))
		if err != nil {
			return err
		}
		return m.startNIC(ctx, r)
	case bdnicRXE:
		m.way.url = fmt.Sprintf("rdma://%s:7777?provider=ibv&device=rxe0", nicAddr)
		if err := lab.HostAddr(net, "br0", nicAddr+"/24"); err != nil {
			return err
		}
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

// startNIC starts bdnic beside the machine, in its network.
func (m *machine) startNIC(ctx context.Context, r *runner) error {
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
	cmd := exec.CommandContext(ctx, "nsenter", "--net="+lab.NetnsPath(m.vm.Config().Net), r.nic, "--config", file)
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
