// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"lazystate/tools/lab/kernel"
)

// Config says what machine to boot. The zero value is a 6.1 kernel with two
// vCPUs, 512 MiB, no swap and no network.
type Config struct {
	Kernel  string // "6.1" or "6.12"
	KASLR   bool   // boot vmlinuz, which randomises; else vmlinux, which is faster
	Append  string // added to the kernel's command line
	Debian  bool   // Debian's default command line instead of the lab's fast one
	MemMiB  int
	VCPUs   int
	ICount  bool // QEMU counts instructions: one is a nanosecond of the guest's time, whatever the host does; TCG, one vCPU
	SwapMiB int  // swap on a virtio disk, enabled at boot
	BARMiB  int  // the register BAR of the intelligent NIC, a power of two; default 4

	Net  string // name of the network namespace, shared by VMs that name the same; default: the VM's own
	NICs []NIC

	Files    map[string]string // guest path -> host path; programs bring their libraries
	Packages []string          // Debian packages whose files and libraries are put in
	Modules  []string          // kernel modules inserted at boot, with their dependencies
	Sysctl   map[string]string
	Login    bool // the serial console asks for a name and a password (see VM.Login) instead of being a root shell

	BootTimeout time.Duration // default and most: 2 min, with ICount 4 min
}

// NIC is one virtio-net interface, with a queue pair per vCPU.
type NIC struct {
	Bridge string // bridge in the namespace that the TAP joins; default br0, "none" leaves the TAP alone
	Addr   string // address/bits given to the guest's interface; empty: it only comes up
	MTU    int    // default 1500; RoCE's 4096 needs 4096+80
	RXE    bool   // a SoftRoCE device on it: rxe0 on eth0, rxe1 on eth1
}

// bootBound is the longest any boot is waited for; where instructions are counted,
// one thread does all and a boot takes several times as long.
const (
	bootBound        = 2 * time.Minute
	countedBootBound = 4 * time.Minute
)

func (c Config) bootBound() time.Duration {
	if c.ICount {
		return countedBootBound
	}
	return bootBound
}

func (c Config) withDefaults(name string) Config {
	c.Kernel = cmp.Or(c.Kernel, "6.1")
	c.MemMiB = cmp.Or(c.MemMiB, 512)
	c.VCPUs = cmp.Or(c.VCPUs, 2)
	c.BARMiB = cmp.Or(c.BARMiB, 4)
	c.Net = cmp.Or(c.Net, name)
	c.BootTimeout = cmp.Or(c.BootTimeout, c.bootBound())
	c.NICs = slices.Clone(c.NICs)
	for i := range c.NICs {
		c.NICs[i].Bridge = cmp.Or(c.NICs[i].Bridge, "br0")
	}
	return c
}

// Unix socket paths and interface names are short: so are names.
var nameRule = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,30}$`)

func checkName(what, name string) error {
	if !nameRule.MatchString(name) {
		return fmt.Errorf("%s %q: want 1 to 31 of a-z, 0-9 and -", what, name)
	}
	return nil
}

func (c Config) check() error {
	switch {
	case !slices.Contains(kernel.Series(), c.Kernel):
		return fmt.Errorf("kernel %q: the lab has %v", c.Kernel, kernel.Series())
	case c.MemMiB < 128:
		return fmt.Errorf("%d MiB of memory: a guest needs 128", c.MemMiB)
	case c.VCPUs < 1 || c.VCPUs > 32:
		return fmt.Errorf("%d vCPUs: 1 to 32", c.VCPUs)
	case c.ICount && c.VCPUs != 1:
		return fmt.Errorf("instructions are counted of 1 vCPU, not of %d", c.VCPUs)
	case c.SwapMiB < 0 || c.SwapMiB > 64<<10:
		return fmt.Errorf("%d MiB of swap: 0 to 65536", c.SwapMiB)
	case c.BARMiB < 1 || c.BARMiB&(c.BARMiB-1) != 0:
		return fmt.Errorf("BAR of %d MiB: want a power of two", c.BARMiB)
	case c.BootTimeout < 0 || c.BootTimeout > c.bootBound():
		return fmt.Errorf("boot timeout %v: at most %v", c.BootTimeout, c.bootBound())
	}
	for _, n := range c.NICs {
		if n.MTU != 0 && (n.MTU < 576 || n.MTU > 9000) {
			return fmt.Errorf("MTU of %d: 576 to 9000", n.MTU)
		}
		if n.Addr != "" {
			if _, err := netip.ParsePrefix(n.Addr); err != nil {
				return err
			}
		}
		if err := checkName("bridge", n.Bridge); err != nil || len(n.Bridge) > 15 {
			return fmt.Errorf("bridge %q: not an interface name", n.Bridge)
		}
	}
	return checkName("namespace", c.Net)
}
