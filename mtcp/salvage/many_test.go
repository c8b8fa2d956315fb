// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/bench/soaktest"
	"lazystate/tools/lab"
)

// Many clients that say nothing, and some that are in the midst of it: 5,000 and
// 200 in the soak.
func TestManySessions(t *testing.T) {
	idle, busy := lab.Count(80, 5000), lab.Count(20, 200)
	book := soaktest.New(t, record, 0, 1)
	book.Add("idle", idle)
	book.Add("busy", busy)
	const files = 16 // of a session: both ends, the box, and what of them keeper and server have
	limit := unix.Rlimit{Cur: uint64(files*(idle+busy) + 4096), Max: uint64(files*(idle+busy) + 4096)}
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	limit.Max = max(limit.Max, was.Max)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, "ipv4", adding)
	w.boxes = idle + busy
	w.cfg.Ask = Asking{Times: 20, Wait: 50 * time.Millisecond}
	clients := make([]*adder, idle+busy)
	for i := range clients {
		clients[i] = w.dial()
		clients[i].ask(2)
		clients[i].rest()
	}
	for _, a := range clients[idle:] {
		a.deaf(true)
		a.ask(200)
	}
	w.die(nil)
	for _, a := range clients[idle:] {
		a.deaf(false)
	}
	r := w.salvage()
	for i := range r.Sessions {
		if s := &r.Sessions[i]; s.Err != nil {
			t.Errorf("%s: %v", s.Remote, s.Err)
		}
	}
	if t.Failed() {
		return
	}
	for _, a := range clients {
		_ = a.SetDeadline(time.Now().Add(hang))
		a.ask(2)
		a.rest()
	}
	book.Add("saved", r.Saved())
	book.Add("batches", int(r.Batches))
	book.Add("reads", int(r.Reads))
	book.Add("ms until the last lives", int(lives(r).Milliseconds()))
	book.Runs++
	t.Logf("%v, %d batches, %d bytes", r.Steps, r.Batches, r.Bytes)
}

// lives is when the last of them did.
func lives(r *Report) (last time.Duration) {
	for i := range r.Sessions {
		last = max(last, r.Sessions[i].Live)
	}
	return last
}
