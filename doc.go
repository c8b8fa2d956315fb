// SPDX-License-Identifier: Apache-2.0

// Package lazystate is the root of the project: remote healing, session
// migration and fault-tolerant shared memory for Linux. It holds no code, only
// the test that keeps the layers of docs/design.md (arch_test.go).
//
// The trap: the test cache does not see a violation in another package; run it
// with `go test -count=1 .`
package lazystate
