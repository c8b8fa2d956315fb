// SPDX-License-Identifier: Apache-2.0

// Command fuzz runs the fuzzing engine on every fuzz target of the module, one after the
// other, for a time each, and records how many inputs each has got in
// bench/results/soak-fuzz.json. What a monitor reads of a target, packets, snapshots,
// logs and configuration are hostile until checked (§3.8): make test tries the seeds and
// what was found before, make soak searches.
//
//	go run ./bench/fuzz --time 30s
//	go run ./bench/fuzz --time 10m --only 'dsm/'
//
// The exit code is 1 if one has failed; go has then put its input into the package's
// testdata/fuzz, where it belongs in the repository with the mend. The trap: the engine
// counts what each of its workers did, and says so once in three seconds; the last line
// that it prints is the sum.
package main
