// SPDX-License-Identifier: Apache-2.0

// Command verbscover measures how much of libibverbs and librdmacm the Go API
// has (issue of RDMA, §3.3): it reads the functions of the C headers, and the
// prototypes that our documentation quotes under "Implements:", and writes
// docs/verbs-coverage.md. A quoted prototype that no header has is an error.
//
// The trap: it believes the documentation. That a call does what its prototype
// says is the conformance suite's business (verbs/verbstest).
//
//	go run ./tools/verbscover -o docs/verbs-coverage.md
//	go run ./tools/verbscover --check   # exit 1 if the file is not what it would be
package main

//go:generate go run . --root ../.. -o ../../docs/verbs-coverage.md
