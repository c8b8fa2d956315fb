// SPDX-License-Identifier: Apache-2.0

// Package goprogram builds this module's commands for who runs them as processes:
// the tests of migration (§2), of healing (§3) and of the DSM (§4), and the beds
// of benches.
//
// The trap: what a run of tools/test.sh has built lies there for all of its tests,
// by the folder that LAZYSTATE_PROGRAMS names, and is not built again even if a
// source changes meanwhile; outside of such a run each call builds anew. Nothing
// may be written to a program that was built: it may be others' too.
//
//	dir := t.TempDir()
//	if err := goprogram.Build(t.Context(), dir, "lazystate/tools/scd", "lazystate/tools/mtcpd"); err != nil {
//		t.Fatal(err)
//	}
//	cmd := exec.Command(filepath.Join(dir, "scd"), "--help")
package goprogram
