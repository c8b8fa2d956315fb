// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// tools are the commands the lab runs and the Debian packages they come from.
var tools = []struct{ command, pkg string }{
	{qemuCommand, "qemu-system-x86"},
	{"/bin/busybox", "busybox-static"},
	{"apt-get", "apt"},
	{"dpkg-deb", "dpkg"},
	{"depmod", "kmod"},
	{"xz", "xz-utils"},
}

// labEnv is LAZYSTATE_LAB: "required" makes a skip a failure, "off" makes
// everything that needs a machine a skip.
const labEnv = "LAZYSTATE_LAB"

// Usable says why this process cannot boot VMs, or nil.
func Usable() error {
	if os.Getenv(labEnv) == "off" {
		return errors.New(labEnv + "=off")
	}
	if os.Geteuid() != 0 {
		return errors.New("the lab needs root: network namespaces, TAPs, and a RAM file nobody else may read")
	}
	for _, t := range tools {
		if _, err := exec.LookPath(t.command); err != nil {
			return fmt.Errorf("the lab needs %s: apt-get install %s (make does it)", t.command, t.pkg)
		}
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return fmt.Errorf("the lab needs TAP interfaces: %w", err)
	}
	return nil
}
