// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Built without cgo the provider is there and answers that it is not: TestAbsent, of
// that build. A guest has no compiler: TestOnGuest leaves it out.
func TestWithoutCgo(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "-run", "^TestAbsent$", ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOEXPERIMENT=")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestAbsent") {
		t.Errorf("%v\n%s", err, out)
	}
}
