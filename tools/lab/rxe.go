// SPDX-License-Identifier: Apache-2.0

package lab

import "maps"

// rxeModules are SoftRoCE and the connection manager for user space.
var rxeModules = []string{"rdma_rxe", "ib_uverbs", "rdma_ucm"}

// rxeFiles are what no ELF header names: libibverbs finds its provider by a file
// and loads it by dlopen, and so does pthread_exit with libgcc_s.
var rxeFiles = map[string]string{
	"/etc/libibverbs.d/rxe.driver":                           "/etc/libibverbs.d/rxe.driver",
	"/usr/lib/x86_64-linux-gnu/libibverbs/librxe-rdmav34.so": "/usr/lib/x86_64-linux-gnu/libibverbs/librxe-rdmav34.so",
	"/usr/lib/x86_64-linux-gnu/libgcc_s.so.1":                "/lib/x86_64-linux-gnu/libgcc_s.so.1",
}

func (c Config) hasRXE() bool {
	for _, n := range c.NICs {
		if n.RXE {
			return true
		}
	}
	return false
}

// withRXE adds the files of SoftRoCE's user-space side.
func withRXE(files map[string]string) map[string]string {
	all := maps.Clone(rxeFiles)
	maps.Copy(all, files)
	return all
}
