// SPDX-License-Identifier: Apache-2.0

// Scd keeps the sessions of this machine's servers while their processes die
// (mtcp/keeper), and moves them to other servers (mtcp/migrate). One runs per
// server; without a command it is the daemon, with one it asks the daemon.
//
// The trap: when scd dies, sessions go on unprotected, and one that was just leaving
// stays frozen until scd is back (or its client gives up). Then it goes on here, or
// the server that it was given to is asked. What no server's process has, it has
// just come or waits for one, is held meanwhile by a process that scd has started
// for that (mtcp/escrow), for two minutes or until scd release.
//
//	scd --config /etc/lazystate/scd.yaml
//	scd ls --json
//	scd move --to s2 10.0.0.100      # one address and its sessions
//	scd drain --to s2                # all of them
//	scd move --to s2 --by gateway 3f2a   # one session, to another address
//	scd drain --to s2 --by client        # all, if their clients have an agent
//	scd release                          # what waits for a daemon that will not come
package main
