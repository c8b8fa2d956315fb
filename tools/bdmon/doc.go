// SPDX-License-Identifier: Apache-2.0

// Bdmon is the monitor of §3.7.1: it samples the Sensor Boxes of its targets,
// dispatches events to healing modules, and lets bdctl look and act.
//
// It is the one writer of each target that it owns (DECISION 21): who wants to
// lock, kill or turn a knob asks it over its control socket, and the audit log
// has the decision before it is carried out. Of several monitors each target has
// one owner; sensorbox/fleet says which, loop.go carries that out, and a term
// (term.go) is the time between. SIGHUP reloads the configuration and leaves
// targets alone whose part of it has not changed; SIGTERM releases a held lock
// and hands the targets over first.
//
// The trap: --dry-run plans and logs, and touches nothing; but a plan that was
// never carried out cannot be verified, so it will be made again and again.
//
//	bdmon --config /etc/lazystate/bdmon.yaml --check-config
//	bdmon --config /etc/lazystate/bdmon.yaml --dry-run
package main
