// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/verbs/internal/soft"
)

// A peer whose link to us is up may send, and be served, before ours to it is:
// what it is to be told then is told when the link comes up. Its process sleeps.
func TestNewsBeforeTheLinkIsUp(t *testing.T) {
	table, err := newTable()
	check(t, err)
	defer table.close()
	hintsFD, hints, err := soft.Shared(hintSize)
	check(t, err)
	defer unix.Munmap(hints)
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	check(t, err)
	ro, err := unix.FcntlInt(uintptr(table.ro), unix.F_DUPFD_CLOEXEC, 0)
	check(t, err)
	u32(table.b, tabAsleep).Store(1)

	l := &link{bell: -1, news: map[uint32]struct{}{}}
	const num = 64 + 5
	l.notify(num)
	if u64(hints, 8).Load() != 0 {
		t.Fatal("told over a link that is not up")
	}
	check(t, l.welcome([]int{ro, hintsFD, bell}))
	if got := u64(hints, 8).Load(); got != 1<<5 {
		t.Errorf("the hints are %#x", got)
	}
	var count [8]byte
	if n, err := unix.Read(bell, count[:]); n != 8 || err != nil {
		t.Errorf("the bell was not rung: %v", err)
	}
	u64(hints, 8).Store(0)
	l.notify(num)
	if u64(hints, 8).Load() != 1<<5 || len(l.news) != 0 {
		t.Error("not told over a link that is up")
	}
	l.table.unmap()
	l.hints.unmap()
	unix.Close(bell)
}
