// SPDX-License-Identifier: Apache-2.0

// Package rdmalink is what lies around RDMA devices: SoftRoCE links over
// network devices (rdma link add), which network device a port has, and the
// GID tables, which say what address a queue pair speaks from. The machines of
// §3.9.2 had one Myrinet card each; here a port has many addresses.
//
// The traps: a GID table has holes, and reading one is an error (EINVAL) of
// its row only; row 0 is the link-local IPv6 address, which a peer of another
// subnet does not answer; and a fresh link takes a moment to fill its table.
//
//	err := rdmalink.Add("rxe0", "eth0")
//	gids, err := rdmalink.System.GIDs("rxe0", 1)
//	dev, gid, err := rdmalink.System.ByAddr(netip.MustParseAddr("10.77.0.1"))
package rdmalink
