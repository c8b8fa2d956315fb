// SPDX-License-Identifier: Apache-2.0

package result

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"strings"
)

// Machine is what a figure was measured on. Guest fields are empty when no VM
// took part.
type Machine struct {
	Kernel string // host: release
	CPU    string // host: model name
	Cores  int    // host: logical CPUs usable by this process
	MemMiB int
	Go     string

	QEMU         string // version and package
	Accel        string // "tcg" or "kvm"
	GuestKernel  string // release of the target
	GuestPackage string // its Debian version
	GuestCPUs    int
	GuestMemMiB  int
	GuestSwap    int // MiB
}

// VM adds the emulator of this host: a guest took part.
func (m *Machine) VM() { m.QEMU = qemu() }

// Host describes the machine this process runs on; no names, no addresses.
func Host() Machine {
	return Machine{
		Kernel: strings.TrimSpace(read("/proc/sys/kernel/osrelease")),
		CPU:    field(read("/proc/cpuinfo"), "model name"),
		Cores:  runtime.NumCPU(),
		MemMiB: kib(field(read("/proc/meminfo"), "MemTotal")) / 1024,
		Go:     runtime.Version(),
	}
}

func field(text, key string) string {
	for line := range bytes.Lines([]byte(text)) {
		k, v, ok := strings.Cut(string(line), ":")
		if ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func kib(s string) int {
	n, err := strconv.Atoi(strings.TrimSuffix(s, " kB"))
	if err != nil {
		return 0
	}
	return n
}

func (m *Machine) header() [][2]string {
	h := [][2]string{{"kernel", m.Kernel}, {"cpu", m.CPU}, {"cores", strconv.Itoa(m.Cores)},
		{"memory MiB", strconv.Itoa(m.MemMiB)}, {"go", m.Go}}
	if m.GuestKernel == "" {
		return append(h, [2]string{"guest", "none"})
	}
	return append(h, [2]string{"guest kernel", m.GuestKernel}, [2]string{"guest package", m.GuestPackage}, [2]string{"qemu", m.QEMU}, [2]string{"accel", m.Accel},
		[2]string{"guest cpus", strconv.Itoa(m.GuestCPUs)}, [2]string{"guest memory MiB", strconv.Itoa(m.GuestMemMiB)},
		[2]string{"guest swap MiB", strconv.Itoa(m.GuestSwap)})
}

func (m *Machine) set(key, value string) (err error) {
	switch key {
	case "kernel":
		m.Kernel = value
	case "cpu":
		m.CPU = value
	case "cores":
		m.Cores, err = strconv.Atoi(value)
	case "memory MiB":
		m.MemMiB, err = strconv.Atoi(value)
	case "go":
		m.Go = value
	case "guest kernel":
		m.GuestKernel = value
	case "guest package":
		m.GuestPackage = value
	case "qemu":
		m.QEMU = value
	case "accel":
		m.Accel = value
	case "guest cpus":
		m.GuestCPUs, err = strconv.Atoi(value)
	case "guest memory MiB":
		m.GuestMemMiB, err = strconv.Atoi(value)
	case "guest swap MiB":
		m.GuestSwap, err = strconv.Atoi(value)
	case "guest":
	default:
		err = fmt.Errorf("unknown key")
	}
	return err
}

// String is the machine in one line, for a plot's caption.
func (m Machine) String() string {
	s := fmt.Sprintf("%s, %d cores, Linux %s", m.CPU, m.Cores, m.Kernel)
	if m.GuestKernel == "" {
		return s + "; no VM"
	}
	return s + fmt.Sprintf("; guest %s, %d vCPU, %d MiB, %s", m.GuestKernel, m.GuestCPUs, m.GuestMemMiB, m.Accel)
}
