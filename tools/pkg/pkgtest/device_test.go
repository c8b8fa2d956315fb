// SPDX-License-Identifier: Apache-2.0

package pkgtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"lazystate/tools/lab"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The device that the module makes goes to a group that exists.
func TestDeviceBelongsToItsGroup(t *testing.T) {
	name := regexp.MustCompile(`\.name = "(\w+)",\n\t\.fops`).FindStringSubmatch(read(t, "../../../kmod/bd_dev.c"))
	if name == nil {
		t.Fatal("bd_dev.c names no device")
	}
	rule := regexp.MustCompile(`(?m)^KERNEL=="(\w+)", SUBSYSTEM=="misc", GROUP="(\w+)", MODE="0660"$`).FindStringSubmatch(read(t, "../backdoor.rules"))
	if rule == nil || rule[1] != name[1] {
		t.Fatalf("the rule %q is not for the device %q", rule, name[1])
	}
	if group := "g " + rule[2] + " -"; !strings.Contains("\n"+read(t, "../backdoor.sysusers"), "\n"+group+"\n") {
		t.Errorf("no line %q in backdoor.sysusers", group)
	}
}

// The group as systemd makes it, in a root of the test's own.
func TestGroupIsMade(t *testing.T) {
	sysusers, err := exec.LookPath("systemd-sysusers")
	if err != nil {
		lab.Skip(t, "no systemd-sysusers (package systemd)")
	}
	if os.Geteuid() != 0 {
		lab.Skip(t, "systemd-sysusers gives its files to root")
	}
	root := t.TempDir()
	conf := filepath.Join(root, "usr/lib/sysusers.d/backdoor.conf")
	for _, dir := range []string{filepath.Dir(conf), filepath.Join(root, "etc")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(conf, []byte(read(t, "../backdoor.sysusers")), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(sysusers, "--root="+root).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if groups := read(t, filepath.Join(root, "etc/group")); !strings.Contains("\n"+groups, "\nbackdoor:") {
		t.Errorf("groups %q", groups)
	}
}
