// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lazystate/tools/lab"
)

// The unit files as systemd reads them, with programs that exist.
func TestUnitFiles(t *testing.T) {
	for name, wants := range map[string][]string{
		"bdmon":   {"WatchdogSec=", "CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_CHOWN\n"},
		"bdagent": {"PrivateNetwork=yes", "CapabilityBoundingSet=CAP_SYS_ADMIN CAP_SYSLOG\n"},
	} {
		t.Run(name, func(t *testing.T) {
			checkUnit(t, name, append(wants, "NoNewPrivileges=yes", "ProtectSystem=strict", "Type=notify"))
		})
	}
}

func checkUnit(t *testing.T, name string, wants []string) {
	unit, err := os.ReadFile("../pkg/" + name + ".service")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range wants {
		if !strings.Contains(string(unit), want) {
			t.Errorf("the unit has no %s", want)
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		lab.Skip(t, "no systemd-analyze (package systemd)")
	}
	path := filepath.Join(t.TempDir(), name+".service")
	text := strings.ReplaceAll(string(unit), "/usr/bin/"+name, "/bin/true")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput()
	if err != nil || strings.Contains(string(out), name+".service:") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
