// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRunTest(t *testing.T) {
	vm := Shared(t, plain("6.12"))
	cover := filepath.Join(sourceRoot(), "build", "cover", "tools_lab_wire-6.12.cover")
	os.Remove(cover)
	RunTest(t, vm, "./tools/lab/wire", "-test.run=Frame|Body")
	b, err := os.ReadFile(cover)
	if err != nil || !strings.Contains(string(b), "lazystate/tools/lab/wire/frame.go") {
		t.Errorf("coverage of %d bytes, %v", len(b), err)
	}
	RunTest(t, vm, "./tools/lab/image", "-test.run=TestArchive")
}

func TestGuestOutput(t *testing.T) {
	const out = `=== RUN   TestA
    a_test.go:1: fine
=== RUN   TestA/sub
--- PASS: TestA (0.00s)
    --- PASS: TestA/sub (0.00s)
=== RUN   TestB
    b_test.go:2: because
--- FAIL: TestB (0.01s)
=== RUN   TestC
    c_test.go:3: no device
--- SKIP: TestC (0.00s)
FAIL
`
	var got []string
	for _, r := range parseGuest(out) {
		got = append(got, r.result+" "+r.name+": "+strings.TrimSpace(strings.Split(r.text, "\n")[1]))
	}
	want := "PASS TestA: a_test.go:1: fine|FAIL TestB: b_test.go:2: because|SKIP TestC: c_test.go:3: no device"
	if strings.Join(got, "|") != want {
		t.Errorf("got %s", strings.Join(got, "|"))
	}
}
