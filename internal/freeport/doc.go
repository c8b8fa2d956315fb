// SPDX-License-Identifier: Apache-2.0

// Package freeport finds TCP ports for servers that tests start, kill and start
// again.
//
// The trap: a port that the kernel gave (":0") and that is closed again is soon
// given to somebody else, while the server that it was meant for is starting or
// between two lives. These ports are below those that the kernel gives out
// (net.ipv4.ip_local_port_range).
//
//	cmd := exec.Command("server", "--listen", freeport.Addr(t))
package freeport
