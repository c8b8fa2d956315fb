// SPDX-License-Identifier: Apache-2.0

// Package status is what each dsmd says of itself once a second, in the folder of
// its run (§4.7 measures the same): a file a node, which dsmtop reads, also on
// another host.
//
// The trap: a node that was killed says nothing any more, and its last word stays. So
// a report has a time, of its own host's clock.
//
//	err := status.Write("/shared/run", status.Report{Node: 2, Written: time.Now(), ...})
//	...
//	all, err := status.Read("/shared/run")
//	for _, r := range all {
//		fmt.Println(r.Node, r.Ordinal, r.Waiting)
//	}
package status
