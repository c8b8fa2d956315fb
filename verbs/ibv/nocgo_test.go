// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"lazystate/tools/lab"
)

// Built without cgo the provider is there and answers that it is not: TestAbsent, of
// that build.
func TestWithoutCgo(t *testing.T) {
	if lab.InGuest() {
		t.Skip("a guest has no compiler")
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "-run", "^TestAbsent$", ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOEXPERIMENT=")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestAbsent") {
		t.Errorf("%v\n%s", err, out)
	}
}
