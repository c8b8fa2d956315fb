// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/dsm/client"
	"lazystate/internal/cli"
)

// hungryBytes are written anew in each of hungryRounds, so that the daemons' logs, of
// which no checkpoint relieves them, outgrow what Go's heap has at its beginning.
const hungryBytes, hungryRounds = 16 << 20, 10

// hungry has each node write its part of the region again and again. In the second
// round node 1's daemon is denied all memory that it does not have yet, if the file that
// is the program's argument is not there: in one life.
func hungry(n *client.Node) error {
	words := client.Slice[uint64](n, hungryBytes/8)
	part := len(words) / n.Nodes()
	own := words[n.ID()*part:][:part]
	for round := range uint64(hungryRounds) {
		if n.ID() == 1 && round == 1 {
			if f, err := os.OpenFile(os.Args[2], os.O_CREATE|os.O_EXCL, 0o600); err == nil {
				f.Close()
				if err := starve(os.Getppid()); err != nil {
					return err
				}
			}
		}
		for i := range own {
			own[i] += round + uint64(i)
		}
		n.Barrier()
	}
	if n.ID() == 0 {
		fmt.Println(mixed(words))
	}
	return nil
}

func mixed(words []uint64) (sum uint64) {
	for _, v := range words {
		sum = sum*31 + v
	}
	return sum
}

// starve has a process get little more memory: too little for Go's heap to grow, which
// takes an arena of 64 MiB, and enough for the stacks of some threads more, whose lack
// the C library reports in words of its own.
func starve(pid int) error {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err
	}
	_, after, _ := strings.Cut(string(status), "VmSize:")
	var have uint64 // KiB
	if _, err := fmt.Sscan(after, &have); err != nil {
		return fmt.Errorf("how much memory has %d: %w", pid, err)
	}
	most := have<<10 + 48<<20
	return unix.Prlimit(pid, unix.RLIMIT_AS, &unix.Rlimit{Cur: most, Max: most}, nil)
}

// sink keeps what starved gets.
var sink []byte

// starved needs more memory than it gets, at one of the nodes.
func starved(n *client.Node) error {
	n.Barrier()
	if n.ID() == 1 {
		if err := starve(os.Getpid()); err != nil {
			return err
		}
		sink = make([]byte, 1<<30)
	}
	n.Barrier()
	return nil
}

var noMemory = regexp.MustCompile(`fatal error: .*(out of memory|cannot allocate memory)`)

// A daemon whose memory is at its end says so, and its node is lost as by any other
// death: started again it recovers, and nothing is lost.
func TestDaemonHasNoMemory(t *testing.T) {
	words := make([]uint64, hungryBytes/8)
	for i := range words {
		words[i] = hungryRounds*(hungryRounds-1)/2 + hungryRounds*uint64(i%(len(words)/2))
	}
	code, out, errs := try(t, slices.Concat([]string{"-n", "2", "--region", fmt.Sprint(hungryBytes + 1<<20)}, program("hungry"), []string{filepath.Join(t.TempDir(), "starved")})...)
	if want := fmt.Sprintln(mixed(words)); code != cli.OK || out != want {
		t.Errorf("exit %d, %q, not %q\n%s", code, out, want, errs)
	}
	for _, what := range []string{"a node was lost and is started again", "msg=recovers node=P1 incarnation=2", "msg=lives node=P1"} {
		if !strings.Contains(errs, what) {
			t.Errorf("nobody says %q:\n%s", what, errs)
		}
	}
	if !noMemory.MatchString(errs) {
		t.Errorf("nobody tells of memory:\n%s", errs)
	}
}

// A program whose memory is at its end has failed by itself: the run ends, with that word.
func TestProgramHasNoMemory(t *testing.T) {
	code, _, errs := try(t, slices.Concat([]string{"-n", "2"}, program("starved"))...)
	if code != cli.Failed || !noMemory.MatchString(errs) || !strings.Contains(errs, "the program has failed: exit status 2") || strings.Contains(errs, "started again") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

// A region that does not fit is refused before a program has begun.
func TestRegionHasNoMemory(t *testing.T) {
	narrow := filepath.Join(t.TempDir(), "dsmd")
	if err := os.WriteFile(narrow, []byte("#!/bin/sh\nulimit -v 4000000\nexec "+dsmd(t)+` "$@"`+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	code, out, errs := try(t, slices.Concat([]string{"-n", "2", "--dsmd", narrow, "--region", "8G", "--restarts", "1"}, program("echo"))...)
	if code != cli.Failed || out != "" || !strings.Contains(errs, "map the region: cannot allocate memory") || !strings.Contains(errs, "was started 2 times") {
		t.Errorf("exit %d, %q\n%s", code, out, errs)
	}
}
