// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// A node whose folder is lost with it, disk and all, goes on on another host by what lies
// in the copy, and the folder has its checkpoints again. Without a copy it is refused:
// TestElsewhere.
func TestFolderIsLost(t *testing.T) {
	plain := runPoints(t)
	dir, peer := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "peer")
	ssh, log := fakeSSH(t, "[ $host != 127.0.0.4 ] || rm -r "+dir+"/node-1", "sh")
	got := runPointsIn(t, dir, "--ssh", ssh, "--host", "127.0.0.2", "--host", "127.0.0.3", "--host", "127.0.0.4", "--tcp", "--copy", peer, "--kill", "1@40")
	if !slices.Equal(got.lines, plain.lines) {
		t.Errorf("%q, not %q\n%s", got.lines, plain.lines, got.log)
	}
	if hosts := hostsOf(t, log); len(hosts) != 3 || hosts[2] != "127.0.0.4" {
		t.Errorf("nodes were on %v", hosts)
	}
	if !regexp.MustCompile(`msg=recovers node=P1 incarnation=2 checkpoint=[1-9]`).MatchString(got.log) {
		t.Errorf("it does not go on from a checkpoint:\n%s", got.log)
	}
	for _, folder := range []string{dir, peer} {
		for _, name := range []string{"node-0/ckpt-*", "node-1/ckpt-*"} {
			if newest(folder, name) == 0 {
				t.Errorf("%s has no %s", folder, name)
			}
		}
	}
}
