// SPDX-License-Identifier: Apache-2.0

// Command stream is the small streaming server of Figure 3.8 and its clients:
// each client gets a constant bit rate, as from an Internet radio, so that the
// target's interrupt counter rises with the number of streams (§3.9.3).
//
// The trap: over loopback no device raises an interrupt. The clients must sit
// on the other side of a network interface of the target.
//
//	stream serve --listen :8000 --rate 16000 --chunk 1000    # in the target
//	stream play --addr 10.9.0.2:8000 --streams 64 --for 20s  # outside
package main
