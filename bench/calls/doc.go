// SPDX-License-Identifier: Apache-2.0

// Package calls times what a process does with a continuation box (§2.7.1, Table
// 2.2; §3.9.3, Table 3.2): to make it, to export, to import, and to use the
// connection that it belongs to.
//
// The trap: where the box lies is the library's choice: in memory of backdoor.ko
// where the process may have some, else in a memfd. Who compares the two loads the
// module, or does not.
//
//	samples := map[string][]float64{}
//	for range 100 {
//		if err := calls.Once(samples, 1<<10); err != nil {
//			return err
//		}
//	}
//	fmt.Println(result.Median(samples["lazy export, in place"]))
package calls
