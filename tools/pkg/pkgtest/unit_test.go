// SPDX-License-Identifier: Apache-2.0

package pkgtest

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"lazystate/tools/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m, 1)) }

// unit is the [Service] section of a unit file; all its keys that are read here
// stand there once.
type unit map[string]string

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	text, err := os.ReadFile("../" + name + ".service")
	if err != nil {
		t.Fatal(err)
	}
	u, section := unit{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "["):
			section = line
		case ok && section == "[Service]" && !strings.HasPrefix(line, "#"):
			u[key] = value
		}
	}
	return u
}

// with is the unit with one line changed; an empty value is systemd's default.
func (u unit) with(key, value string) unit {
	v := maps.Clone(u)
	v[key] = value
	return v
}

func (u unit) number(t *testing.T, key string) int {
	t.Helper()
	n, err := strconv.Atoi(u[key])
	if err != nil {
		t.Fatalf("%s=%s: %v", key, u[key], err)
	}
	return n
}

// defaults are the limits that systemd 252 gives a service of which the unit
// says nothing (systemd-system.conf(5)), as far as any program of ours asks.
var defaults = map[string]string{"MEMLOCK": "8388608", "RTPRIO": "0", "NICE": "0"}

// argv runs a program with the unit's limits, its bounding set and without new
// privileges.
func (u unit) argv(program ...string) []string {
	argv := []string{"/usr/bin/prlimit"}
	for name, value := range defaults {
		if limit := u["Limit"+name]; limit != "" {
			value = strings.ReplaceAll(limit, "infinity", "unlimited")
		}
		argv = append(argv, "--"+strings.ToLower(name)+"="+value)
	}
	bounding := "-all"
	for capability := range strings.FieldsSeq(u["CapabilityBoundingSet"]) {
		bounding += ",+" + strings.ToLower(strings.TrimPrefix(capability, "CAP_"))
	}
	argv = append(argv, "/usr/bin/setpriv", "--inh-caps=-all", "--bounding-set="+bounding)
	if u["NoNewPrivileges"] == "yes" {
		argv = append(argv, "--no-new-privs")
	}
	return append(argv, program...)
}

// moving is what moving sessions takes.
const moving = "CAP_NET_ADMIN CAP_NET_RAW CAP_BPF CAP_PERFMON CAP_DAC_OVERRIDE CAP_CHOWN"

// The unit files as systemd reads them, with programs that exist.
func TestUnitFiles(t *testing.T) {
	for name, wants := range map[string]map[string]string{
		"bdmon":   {"WatchdogSec": "30s", "CapabilityBoundingSet": "CAP_DAC_OVERRIDE CAP_CHOWN", "RestrictRealtime": "yes"},
		"bdnic@":  {"WatchdogSec": "30s", "CapabilityBoundingSet": "CAP_DAC_OVERRIDE CAP_NET_RAW", "RestrictRealtime": "yes"},
		"bdagent": {"PrivateNetwork": "yes", "CapabilityBoundingSet": "CAP_SYS_ADMIN CAP_SYSLOG", "RestrictRealtime": ""},
		"scd":     {"Restart": "always", "KillMode": "process", "RuntimeDirectoryPreserve": "yes", "CapabilityBoundingSet": moving, "RestrictRealtime": "yes"},
		"mtcpd":   {"Restart": "always", "CapabilityBoundingSet": moving, "RestrictRealtime": "yes"},
	} {
		t.Run(name, func(t *testing.T) {
			u := readUnit(t, name)
			maps.Copy(wants, map[string]string{"NoNewPrivileges": "yes", "ProtectSystem": "strict", "Type": "notify"})
			for key, value := range wants {
				if u[key] != value {
					t.Errorf("%s=%s, want %q", key, u[key], value)
				}
			}
			verify(t, name)
		})
	}
}

func verify(t *testing.T, name string) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		lab.Skip(t, "no systemd-analyze (package systemd)")
	}
	text, err := os.ReadFile("../" + name + ".service")
	if err != nil {
		t.Fatal(err)
	}
	program, template := strings.CutSuffix(name, "@")
	if template {
		name += "vm1"
	}
	path := filepath.Join(t.TempDir(), name+".service")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "/usr/bin/"+program, "/bin/true")), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput()
	if err != nil || strings.Contains(string(out), name+".service:") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
