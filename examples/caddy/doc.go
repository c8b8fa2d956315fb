// SPDX-License-Identifier: Apache-2.0

// Command caddy is Caddy, with sessions that outlive its processes: an existing
// server, unchanged, and what it needs is in sessions.go (§2.7.2 needed 50
// lines in Apache).
//
//	{
//		auto_https off
//	}
//	http://:80 {
//		bind scd/0.0.0.0   # the network "scd": listen through the keeper
//		route {
//			sessions       # the rest of the route in state intervals
//			file_server
//		}
//	}
//
// The trap: when Caddy is told to stop it closes its idle connections itself,
// as it always did. What is to survive a restart is killed (SIGKILL), or moved
// before. And handlers that answer from clocks or other servers (templates,
// reverse_proxy) have to be deterministic, or their responses small: see web.Hold.
package main
