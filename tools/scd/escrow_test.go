// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/mtcp/escrow"
)

// A journal has one daemon at a time; the next one has it when that has ended.
func TestOneDaemonForAJournal(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "moves")
	first, err := lockJournal(folder)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := lockJournal(folder); err == nil || !strings.Contains(err.Error(), "another scd has it") {
		t.Errorf("a second one: %v, %v", second, err)
	}
	_ = first.Close()
	next, err := lockJournal(folder)
	if err != nil {
		t.Fatal(err)
	}
	_ = next.Close()
}

// A session lived here for a moment, its daemon died before a process had it and is not
// to come back: its client is told that this was not all.
func TestReleasedClientIsTold(t *testing.T) {
	toldAtRelease(t, func(*site) {})
}

// A session that came kills each daemon that goes on with it: the third one sets it
// aside, and serves. Its client is told when all is released.
func TestRevivalKillsTheDaemon(t *testing.T) {
	toldAtRelease(t, func(s2 *site) {
		for range 2 {
			s2.launchSCD("SCD_KILL=revive")
			s2.scd.died(t)
		}
		s2.startSCD("SCD_KILL=revive")
		s2.await("a session that is set aside", func() bool { return strings.Contains(s2.scd.log.String(), "is set aside, until scd release") })
		s2.scd.kill()
	})
}

// toldAtRelease has s2's daemon die with a session that lives there before a process has
// it. Then comes what s2 goes through, and then the release.
func toldAtRelease(t *testing.T, goesThrough func(s2 *site)) {
	t.Helper()
	w := newWorld(t, false)
	s1, s2 := w.sites["s1"], w.sites["s2"]
	s2.killedAt("alive")
	got := &taken{rein: make(rein), sum: sha256.New()}
	cmd, errs := w.curl(nil, got, fmt.Sprintf("http://%s/%d", netip.AddrPortFrom(w.addr, port), 2*inKernels))
	w.only()
	over := make(chan error, 1)
	go func() { over <- s1.ctl("move", "--to", "s2", w.addr.String()) }()
	s2.scd.died(t)
	goesThrough(s2)
	var out, said bytes.Buffer
	if code := run(t.Context(), []string{"scd", "--config", s2.path("scd.yaml"), "release"}, strings.NewReader(""), &out, &said); code != 0 || out.String() != "1 session(s) have ended\n" {
		t.Errorf("exit %d: %s%s", code, out.String(), said.String())
	}
	close(got.rein)
	if err := cmd.Wait(); err == nil || !strings.Contains(errs.String(), "reset by peer") {
		t.Errorf("curl: %v: %s", err, errs)
	}
	s1.scd.kill()
	<-over // whatever it has come to
}

// The holder that a daemon starts goes on when that has hung up, and ends by the
// command for that, or by SIGTERM as anything does.
func TestRelease(t *testing.T) {
	t.Setenv("SCD_ROLE", "scd") // this binary is the holder
	dir := t.TempDir()
	conf := filepath.Join(dir, "scd.yaml")
	if err := os.WriteFile(conf, []byte("journal: "+dir+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"release", "SIGTERM"} {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
		var holder *exec.Cmd
		e, left, err := escrow.Open(escrowIn(dir), func(l *os.File) error { holder = holderOf(l); return holder.Start() })
		if err != nil || len(left) != 0 {
			t.Fatalf("%d are left, %v", len(left), err)
		}
		if err := e.Put(escrow.Deposit{FDs: []int{int(theirs.Fd())}}); err != nil {
			t.Fatal(err)
		}
		_, _ = theirs.Close(), e.Close()
		if how == "SIGTERM" {
			if err := holder.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		} else {
			var out, errs bytes.Buffer
			daemon, err := lockJournal(dir)
			if err != nil {
				t.Fatal(err)
			}
			if code := run(t.Context(), []string{"scd", "--config", conf, "release"}, strings.NewReader(""), &out, &errs); code != 1 || !strings.Contains(errs.String(), "another scd has it") {
				t.Errorf("under a daemon: exit %d: %s%s", code, out.String(), errs.String())
			}
			_ = daemon.Close()
			if code := run(t.Context(), []string{"scd", "--config", conf, "release"}, strings.NewReader(""), &out, &errs); code != 0 || out.String() != "1 session(s) have ended\n" {
				t.Errorf("exit %d: %s%s", code, out.String(), errs.String())
			}
		}
		if _, err := ours.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("after %s: %v", how, err)
		}
		if err := holder.Wait(); err != nil {
			t.Errorf("after %s: %v", how, err)
		}
		_ = ours.Close()
	}
}
