// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"testing"

	"lazystate/mtcp/party"
	"lazystate/mtcp/steer"
)

// The test's own binary plays the daemon, which kills itself at a step of a move: tests
// of tools/scd have it so.
func TestMain(m *testing.M) {
	if os.Getenv("MTCPD_ROLE") != "mtcpd" {
		os.Exit(m.Run())
	}
	if at := os.Getenv("MTCPD_KILL"); at != "" {
		point = func(step string) {
			if step == at {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		}
	}
	if n, err := strconv.Atoi(os.Getenv("MTCPD_HOLDS")); err == nil {
		party.Defaults.Holds = n
	}
	os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// A connection is named as mtcpd ls prints it.
func TestParseFlow(t *testing.T) {
	for _, f := range []steer.Flow{
		{Local: netip.MustParseAddrPort("10.0.0.9:5"), Remote: netip.MustParseAddrPort("10.0.0.1:80")},
		{Local: netip.MustParseAddrPort("[fd00::9]:5"), Remote: netip.MustParseAddrPort("[fd00::1]:80")},
	} {
		if got, err := parseFlow(f.String()); err != nil || got != f {
			t.Errorf("%s is read as %s, %v", f, got, err)
		}
	}
	for _, bad := range []string{"", "10.0.0.9:5", "10.0.0.9-10.0.0.1:80", "10.0.0.9:5-10.0.0.1", "a:1-b:2"} {
		if got, err := parseFlow(bad); err == nil {
			t.Errorf("%q is read as %s", bad, got)
		}
	}
}
