// SPDX-License-Identifier: Apache-2.0

// Package daemon runs bdmon as a process of its own, as an operator starts it,
// against a machine of the lab, and follows its audit log: what the drills and
// the benches of §3.9.5 measure is the program that is shipped, with one
// configuration for both.
//
// The trap: bdmon holds the writer's place of its machine until it has ended.
// Who writes to that machine himself closes first, and Stops bdmon before he
// opens it again.
//
//	l, err := daemon.NewLedger(audit, vm.Name())
//	...
//	d, err := daemon.Start(ctx, "build/bin/bdmon", dir, daemon.Config{VM: vm, KeyFile: key, Audit: audit, Drill: drill}, os.Stderr)
//	...
//	defer d.Stop()
//	client, err := d.Dial(ctx) // it samples the target now
//	...
//	err = l.Read()
//	for _, in := range l.Ended() {
//		fmt.Println(in.Result, in.Killed, in.Repaired)
//	}
package daemon
