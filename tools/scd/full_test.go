// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// fill has whatever is written to a file that this process has open meet a full disk.
func fill(name string) error {
	full, err := unix.Open("/dev/full", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	all, err := os.ReadDir("/proc/self/fd")
	for _, e := range all {
		if path, err := os.Readlink("/proc/self/fd/" + e.Name()); err != nil || filepath.Base(path) != name {
			continue
		}
		if fd, err := strconv.Atoi(e.Name()); err == nil {
			return unix.Dup3(full, fd, unix.O_CLOEXEC)
		}
	}
	return err
}

// The disk of S2's journal is full once it has noted a move: the session lives there,
// without a certificate that outlives the daemon, and not at S1 as well.
func TestFullJournal(t *testing.T) {
	w := newWorld(t, false)
	a := w.agent("--patience", "20s")
	s1, s2 := w.sites["s1"], w.sites["s2"]
	s2.web.kill()
	s2.scd.kill()
	s2.startSCD("SCD_FULL=noted")
	s2.startWeb()
	end := w.download(own(0, false).Addr(), long)
	err := a.move(a.flow(), own(1, false))
	if err != nil {
		t.Errorf("the move: %v", err)
	}
	s1.await("its end here", func() bool { return len(s1.ls()) == 0 })
	if strings.Contains(s1.scd.log.String(), "state=SERVING") {
		t.Error("it goes on at s1, too")
	}
	end()
	w.servedWhere(err)
}
