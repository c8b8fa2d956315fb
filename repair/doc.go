// SPDX-License-Identifier: Apache-2.0

// Package repair heals a target in place (§3.7): an event dispatcher calls
// healing modules for events of the Sensor Box; a healer plans (reads the
// remote process table, names culprits), acts under the remote OS lock and
// verifies. Proc_Repair_Healer and Mem_Reclaim_Healer of §3.7.2 are compiled
// in; External runs a program that plans.
//
// A plan passes four gates before anybody dies. The sensors' own L, the
// target's contract, must be passed. The condition must persist through the
// confirm window (§3.7.1 has the healer validate the event), a level as well as
// pressure, a stall or a verdict on the machine: a burst of short jobs, a build
// or one run of the OOM handler that helped settles by itself; what settles
// three times in half a minute does not settle. A policy must accuse somebody above a limit
// of its own. And the audit log must have taken the decision: what cannot be
// logged is not done.
//
// What cannot be repaired in place is not healed but, where it is asked for,
// reset: see LastResort.
//
// The trap: between diagnosis and kill the target runs on. So the table is
// read again under the lock, only processes of the accused are killed, each
// named by pid and start time, each result read back, and all before the
// target thaws: a bomb has no moment to fork between two kills. Posted is not
// killed: a result that was not read back is counted as unread, and healed
// means that another look found them gone and the sensors at L.
//
//	p := &repair.Patient{Name: "t1", Target: target, Slot: 0, Key: key, Audit: audit}
//	d := repair.NewDispatcher(p, repair.Options{})
//	hm := d.NewHealer(&repair.ProcRepairHealer{Spare: policy.Spare{UIDs: []uint32{26}}})
//	d.RegisterSensor(hm, repair.SensorNProcs)
//	d.RegisterSensor(hm, repair.SensorMaxProcRate)
//	go d.Run(ctx)
//	for events := range detected {
//		d.Dispatch(events...)
//	}
package repair
