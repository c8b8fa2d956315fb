// SPDX-License-Identifier: Apache-2.0

// Bdnic is the intelligent NIC of a virtual machine, on the wire (§3.3, §3.9.1): a
// daemon beside the machine that maps its RAM and its register BAR and answers
// RoCEv2 in its place, whether its kernel runs, hangs or has panicked. A monitor on
// any other machine, with an RDMA device or with package verbs/roce, watches and
// heals it by an rdma: URL. The guard of §3.8 is in it: identified monitors with a
// policy each, writes and reads that several must ask for, one owner.
//
// The policy is sealed at the start; SIGHUP only says what a restart would change.
// A machine that is shut down and started again is followed.
//
// The trap: bdnic is its target's one writer (it holds the flock of the BAR), so a
// bdmon on the same host reaches the machine through bdnic too, by its socket.
//
//	bdnic --config /etc/lazystate/bdnic-vm1.yaml --check-config
//	bdnic --config /etc/lazystate/bdnic-vm1.yaml
//
//	target: inic:///run/vm1/ram
//	keys: /etc/lazystate/keys/vm1
//	listen: [{device: "roce://10.0.0.7", address: "10.0.0.7:7777"}]
package main
