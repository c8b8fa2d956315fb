// SPDX-License-Identifier: Apache-2.0

// Command all is `make bench`: it builds every bench program of chapters 2
// and 3 (§2.7, §3.9.3, §3.9.5), runs one after the other, draws their figures and prints a table of
// what was measured and how long it took. Exit 1 if any failed.
//
// The trap: the machine has few CPUs, and a bench beside another measures the
// other. They run strictly one at a time, each bounded by --timeout of its own.
//
// What an earlier call measured with the code of this tree, committed and
// unchanged, is kept: a suite that was cut off goes on where it was.
//
// Before it begins it says what is missing and how long that takes: as long as
// last time, or what each bench estimates for an idle machine.
//
//	go run ./bench/all --plan               # what would be measured, and how long
//	go run ./bench/all                      # everything that is missing
//	go run ./bench/all --force              # everything
//	go run ./bench/all --only fetch,table33 --quick
package main
