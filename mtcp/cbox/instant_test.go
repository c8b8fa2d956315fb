// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/mtcp/cbox/cboxtest"
	"lazystate/tools/lab"
)

// A process in C is killed before and after each of its system calls and some
// instructions later, from the one that takes the session over on: in take-over
// and replay, when bytes are read and nobody has noted it, in the middle of
// snapshots, held output and actions. The client sees one server.
func TestKilledAtAnyInstant(t *testing.T) {
	const stops, later, steps = 70, 3, 300
	rng := rand.New(rand.NewPCG(5, 5))
	runtime.LockOSThread() // ptrace answers the thread that attached only
	defer runtime.UnlockOSThread()
	client, server := dialed(t)
	c, err := Create(server, Config{})
	if err != nil {
		t.Fatal(err)
	}
	r, id := keptRegion(t, c), c.ID()
	kept := dup(t, server)
	c.letGo()
	const requests = 6000
	_ = client.SetDeadline(time.Now().Add(10 * hang))
	verified := make(chan error, 1)
	go func() {
		for i := range uint64(requests) {
			_, _ = client.Write(le.AppendUint64(nil, i*i))
		}
		_ = client.CloseWrite()
	}()
	go func() { verified <- verify(client, requests) }()
	box := must(OpenBox(r))
	defer box.Close()
	kills, read := 0, uint64(0)
	for n := range stops * later {
		p := waiting(t)
		if err := syscall.PtraceAttach(p.cmd.Process.Pid); err != nil {
			lab.Skip(t, "no ptrace here: "+err.Error())
		}
		stopped(t, p)
		if err := Pass(p.conn, r, id, 1, 0, kept); err != nil {
			t.Fatal(err)
		}
		for range n / later {
			must(0, syscall.PtraceSyscall(p.cmd.Process.Pid, 0))
			stopped(t, p)
		}
		for range rng.IntN(steps) * (n % later) {
			must(0, syscall.PtraceSingleStep(p.cmd.Process.Pid))
			stopped(t, p)
		}
		p.kill(t)
		kills++
		read = must(box.Head()).Read
	}
	if read < 100*8 {
		t.Errorf("after %d kills it has come to request %d", kills, read/8)
	}
	p := spawnC(t, cboxtest.Plain, "server", "root")
	if err := Pass(p.conn, r, id, 1, 0, kept); err != nil {
		t.Fatal(err)
	}
	if err := <-verified; err != nil {
		t.Fatal(err)
	}
	if err := p.wait(); err != nil {
		t.Error(err)
	}
	t.Logf("%d processes were killed, up to request %d", kills, read/8)
}

// waiting is a process that waits for a session.
func waiting(t *testing.T) *process {
	t.Helper()
	p := spawnC(t, cboxtest.Plain, "server", "root")
	want := fmt.Appendf(nil, "%d ", unix.SYS_RECVMSG)
	for until := time.Now().Add(hang); ; time.Sleep(100 * time.Microsecond) {
		call, err := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", p.cmd.Process.Pid))
		if err != nil {
			lab.Skip(t, "what a process waits in is not to be seen here: "+err.Error())
		}
		if bytes.HasPrefix(call, want) {
			return p
		}
		if time.Now().After(until) {
			t.Fatalf("it waits in %s", call)
		}
	}
}

// stopped waits until a traced process has stopped.
func stopped(t *testing.T, p *process) {
	t.Helper()
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(p.cmd.Process.Pid, &ws, syscall.WALL, nil); err != nil || !ws.Stopped() {
		t.Fatalf("traced process: %v, status %#x", err, ws)
	}
}
