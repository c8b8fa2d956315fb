// SPDX-License-Identifier: Apache-2.0

// Package policy names the culprits of a resource exhaustion from a process
// table, purely (§3.7.2): the three policies against a fork bomb and the three
// against a memory hog, alone or combined, with the evidence for each.
//
// A policy ranks subjects (users, or single processes for POLICY_MAX_RSS) by a
// measure and keeps those above its limit. The first of the ranking is the
// culprit, as in the dissertation; All, Any and Weighted combine rankings.
//
// The trap: the table comes from a machine that is being abused. Parents form
// cycles, pids appear twice, a bomb calls itself "sshd" or is su four hundred
// times. What contradicts itself is never killed, a spared command or effective
// user 0 protects a few old processes only, and user 0, init and kernel threads
// are nobody's culprits. A policy is also the place where the innocent are
// accused: when RAM and swap are full the hogs are swapped out, so memory means
// rss + swap + page tables, once per mm.
//
//	table := policy.Table{Processes: procs, Now: uptime}
//	d := policy.Diagnose(table, policy.Any(
//		policy.Basic{Kind: policy.PolicyTooManyProcs, Limit: 100},
//		policy.Basic{Kind: policy.PolicyRateTooHigh, Limit: 50},
//	), policy.Spare{UIDs: []uint32{26}})
//	for _, c := range d.Culprits {
//		fmt.Println(c.PID, c.UID, c.Comm)
//	}
//	fmt.Println(d.Findings)
package policy
