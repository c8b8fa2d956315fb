// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/internal/freeport"
	"lazystate/mtcp/cbox"
)

// Sessions that waited for a process come before what is new at its socket, and all of
// them before any, for a server that asks for that.
func TestLeftComesFirst(t *testing.T) {
	for _, asks := range []bool{false, true} {
		t.Run(fmt.Sprintf("asks %v", asks), func(t *testing.T) {
			k, socket := kept(t, Config{})
			port := freeport.Pick(t)
			listen := func() *Listener {
				l := must(web(t, socket, "web").Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port), cbox.Config{}))
				t.Cleanup(func() { _ = l.Close() })
				return l
			}
			before := listen()
			if left, err := before.Left(); len(left) != 0 || err != nil {
				t.Fatalf("nothing was there: %v, %v", left, err)
			}
			_ = before.client.Close()
			_ = before.Close()
			var want []cbox.ID
			for range 5 {
				box, conn := carried(t)
				if err := adopt(k, uint32(os.Getuid()), "web", box, conn); err != nil {
					t.Fatal(err)
				}
				want = append(want, box.ID())
			}
			late := dial(t, port)
			l, all := listen(), []net.Conn(nil)
			if asks {
				all = must(l.Left())
			}
			for n := len(all); n < len(want); n++ {
				all = append(all, must(l.Accept()))
			}
			var got []cbox.ID
			for _, c := range all {
				got = append(got, c.(*cbox.Conn).ID())
			}
			less := func(a, b cbox.ID) int { return slices.Compare(a[:], b[:]) }
			slices.SortFunc(got, less)
			slices.SortFunc(want, less)
			if !slices.Equal(got, want) {
				t.Errorf("%v, not %v", got, want)
			}
			c := must(l.Accept())
			if c.RemoteAddr().String() != late.LocalAddr().String() {
				t.Errorf("then comes %v", c.RemoteAddr())
			}
			for _, c := range append(all, c) {
				abandon(c)
			}
		})
	}
}

// pair is a unix socket of ours, and its other end.
func pair(t *testing.T) (ours, theirs *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "unix")
		ends[i] = must(unixConn(f))
		_ = f.Close()
		t.Cleanup(func() { _ = ends[i].Close() })
	}
	return ends[0], ends[1]
}

// What was to be handed to a process may end before it is: it is told all the same that
// this was all.
func TestAllIsPassedWhateverEnds(t *testing.T) {
	k, _ := kept(t, Config{})
	ours, theirs := pair(t)
	p := &process{sessions: ours, slots: map[slotKey]struct{}{}, queue: []slotKey{{id: cbox.ID{1}}, allPassed, {id: cbox.ID{2}}}, more: sync.NewCond(&k.mu)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.hand(p)
	}()
	if got, err := cbox.Take(theirs); err != nil || !got.All {
		t.Errorf("%+v, %v", got, err)
	}
	k.mu.Lock()
	p.leave()
	k.mu.Unlock()
	<-done
}

// Who takes the place of a process that has just died is given what that had, though
// nobody has seen yet that it is dead.
func TestNextIsQuickerThanTheWatch(t *testing.T) {
	k, socket := kept(t, Config{})
	box, conn := carried(t)
	if err := adopt(k, uint32(os.Getuid()), "web", box, conn); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pidfd := os.NewFile(uintptr(must(unix.PidfdOpen(cmd.Process.Pid, unix.PIDFD_NONBLOCK))), "pidfd")
	ctl, _ := pair(t)
	sessions, _ := pair(t)
	p := &process{service: service{uint32(os.Getuid()), "web"}, pid: cmd.Process.Pid, pidfd: pidfd, ctl: ctl, bell: must(cbox.NewBell()).File, sessions: sessions,
		slots: map[slotKey]struct{}{}, more: sync.NewCond(&k.mu), rings: make(chan struct{}, 1)}
	k.mu.Lock()
	if err := k.take(p.uid, Share{Processes: 1}); err != nil {
		t.Fatal(err)
	}
	k.processes[p] = struct{}{}
	s := k.sessions[box.ID()]
	s.found(0)
	s.own(0, p)
	k.mu.Unlock()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	next := web(t, socket, "web")
	select {
	case <-next.left:
		t.Fatal("it is told that nothing waits for it")
	default:
	}
	got := must(next.Take())
	if cbox.ID(got.Session) != box.ID() {
		t.Errorf("it is handed session %s", got.Session)
	}
	_ = got.Conn.Close()
	_ = got.Region.File.Close()
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, there := k.processes[p]; there || s.owners[0] == p {
		t.Error("the dead one has it still")
	}
}
