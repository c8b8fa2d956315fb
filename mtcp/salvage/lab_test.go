// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/cbox/cboxtest"
	"lazystate/mtcp/keeper"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

// The test's own binary is the server in the machine.
const roleEnv = "SALVAGE_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(roleEnv)
	if role == "" {
		code := lab.Main(m, lab.Count(1, 2))
		cboxtest.Clean()
		os.Exit(code)
	}
	var err error
	switch role {
	case "add":
		err = serveInGuest(addUp)
	case "bulk":
		err = serveInGuest(bulk)
	case "deadly":
		err = serveInGuest(crashes)
	case "recover":
		err = recoverInGuest(0, func(_ *keeper.Keeper, c *cbox.Conn) error { return addUp(c) })
	case "recover deadly":
		err = recoverInGuest(hang, crashesAlone) // nobody is believed for having lived for long
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serveInGuest serves whoever comes. There is no keeper: what outlives this
// machine is the memory of its module.
func serveInGuest(one func(*cbox.Conn) error) error {
	l, err := cbox.Listen(context.Background(), "tcp", fmt.Sprintf(":%d", port), cbox.Config{Name: adding.name})
	if err != nil {
		return err
	}
	fmt.Println("serving")
	return acceptAll(l, one)
}

// acceptAll serves each session by one.
func acceptAll(l net.Listener, one func(*cbox.Conn) error) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		conn, ok := c.(*cbox.Conn)
		if !ok {
			return fmt.Errorf("%T has no box", c)
		}
		go func() {
			if err := one(conn); err != nil {
				fmt.Println(err)
			}
		}()
	}
}

const (
	guestDir = "/run/salvage"
	guestLog = guestDir + "/log"
)

// victim is a machine of the lab in s1's place.
type victim struct {
	*world
	vm     *lab.VM
	mem    backdoor.Memory
	target *backdoor.Target
	prog   lab.Proc // the test's own binary, once it is there
	pid    int      // of what it plays
}

// newVictim boots it and has it serve. It has an address of its own, that of s1 is
// still there.
func newVictim(t *testing.T, kernel, role string) *victim {
	t.Helper()
	return newVictimBy(t, kernel, role, mapped)
}

// newVictimBy is newVictim, read by a carrier of one's choice.
func newVictimBy(t *testing.T, kernel, role string, by carrier) *victim {
	t.Helper()
	vm := lab.New(t, by.machine(kernel))
	v := &victim{world: newWorld(t, "ipv4", adding), vm: vm}
	v.s1.Unaddr(v.service.String()) // it is the machine's
	v.must(lab.Cable(vm.Config().Net, "br0", v.rig.Wire.Try))
	v.arm(by)
	_, err := vm.Must(t.Context(), "ip", "addr", "add", v.service.String(), "dev", "eth0")
	v.must(err)
	v.play(t, role)
	v.says("serving")
	return v
}

// play starts the test's own binary in a role, which ends with the machine.
func (v *victim) play(t *testing.T, role string) {
	t.Helper()
	if v.prog.Argv == nil {
		v.prog = lab.PutTest(t, v.vm, lab.TestBuild{}, "./mtcp/salvage")
	}
	var err error
	v.pid, err = v.vm.Start(t.Context(), lab.Proc{
		Argv: []string{"/bin/sh", "-c", `mkdir -p ` + guestDir + `; exec "$0" >` + guestLog + ` 2>&1`, v.prog.Argv[0]},
		Dir:  v.prog.Dir, Env: append([]string{roleEnv + "=" + role}, v.prog.Env...),
	})
	v.must(err)
}

// serves ends what it plays, and has it serve in another role.
func (v *victim) serves(t *testing.T, role string) {
	t.Helper()
	v.must(v.vm.Kill(t.Context(), v.pid, syscall.SIGKILL))
	_, err := v.vm.Wait(t.Context(), v.pid)
	v.must(err)
	v.must(v.vm.WriteFile(t.Context(), guestLog, nil, 0o600)) // it has said so before
	v.play(t, role)
	v.says("serving")
}

// says waits until it has said a word.
func (v *victim) says(word string) {
	v.t.Helper()
	for end := time.Now().Add(hang); !strings.Contains(v.log(), word); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			v.t.Fatalf("the machine does not say %q: %s", word, v.log())
		}
	}
}

func (v *victim) log() string {
	b, err := v.vm.ReadFile(v.t.Context(), guestLog)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// arm loads the module and opens the target.
func (v *victim) arm(by carrier) {
	v.t.Helper()
	ctx := v.t.Context()
	v.must(v.vm.Insmod(ctx, lab.Module(v.t, v.vm, "backdoor"), "allow_fence=1"))
	v.must(armed.GiveKeys(ctx, v.vm, armed.Keys{slot: key}))
	v.fence.Timeout = by.fence
	v.mem = by.open(v)
	var err error
	v.target, err = backdoor.Open(ctx, v.mem)
	v.must(err)
	v.cfg.Target = v.target
}

// bound waits until the server has accepted so many and has made their boxes.
func (v *victim) bound(n int) {
	v.t.Helper()
	for end := time.Now().Add(hang); ; time.Sleep(20 * time.Millisecond) {
		boxes, err := v.target.Boxes(v.t.Context())
		v.must(err)
		bound := 0
		for i := range boxes {
			if boxes[i].State == uapi.BoxBound && boxes[i].Err == nil && v.made(&boxes[i]) {
				bound++
			}
		}
		if bound == n {
			return
		}
		if time.Now().After(end) {
			v.t.Fatalf("%d of %d boxes are bound: %s", bound, n, v.log())
		}
	}
}

// made reports whether a box has its head: the module binds it to its socket before
// the process has written that.
func (v *victim) made(b *backdoor.Box) bool {
	v.t.Helper()
	head := make([]byte, 4096)
	reads, err := b.Reads(0, head)
	v.must(err)
	v.must(v.target.ReadVA(v.t.Context(), reads))
	_, err = cbox.HeadLen(head)
	return err == nil
}

// A server's kernel panics while its clients ask and wait, and their sessions go
// on at this host, out of its memory: on both kernels, in the middle of what they
// were at. Before that it is stopped at random, time and again (frozenAtRandom).
func TestPanic(t *testing.T) {
	for _, kernel := range []string{"6.12", "6.1"} {
		t.Run(kernel, func(t *testing.T) {
			v := newVictim(t, kernel, "bulk")
			v.frozenAtRandom(t)
			v.serves(t, "add")
			v.goesOn(func([]*adder) { v.panics() })
		})
	}
}

// A machine that only stood comes back when its sessions are elsewhere, and is
// silent (§3.5.1): nobody notices it.
func TestStandsAndComesBack(t *testing.T) {
	v := newVictim(t, "6.12", "add")
	v.fence.Timeout = 50 * time.Millisecond
	clients := v.goesOn(func([]*adder) { v.must(v.vm.Stop(t.Context())) })
	v.must(v.vm.Cont(t.Context()))
	v.fenced()
	for _, a := range clients {
		a.ask(50)
		a.rest()
	}
}

// goesOn has clients ask, strikes the machine, and salvages their sessions.
func (v *victim) goesOn(strike func(clients []*adder)) (clients []*adder) {
	v.t.Helper()
	clients = v.askers()
	strike(clients)
	for i, a := range clients {
		a.ask(i % 3) // into nothing
	}
	v.carriedOut(clients)
	return clients
}

// askers are clients who have asked and heard, and have asked something else just now.
func (v *victim) askers() (clients []*adder) {
	v.t.Helper()
	for i := range 8 {
		a := v.dial()
		a.ask(20 * i)
		a.hear(20 * i)
		clients = append(clients, a)
	}
	for i, a := range clients {
		a.ask(100 * i) // are on their way when it happens
	}
	return clients
}

// carriedOut has the sessions of all clients go on at this host, out of the machine's
// memory.
func (v *victim) carriedOut(clients []*adder) {
	v.t.Helper()
	r := v.out()
	if r.Saved() != len(clients) {
		v.t.Fatalf("%d of %d sessions live", r.Saved(), len(clients))
	}
	v.heard(clients)
}

// heard checks that all go on.
func (v *victim) heard(clients []*adder) {
	v.t.Helper()
	for _, a := range clients {
		v.must(a.SetDeadline(time.Now().Add(hang)))
		a.rest()
		a.ask(50)
		a.rest()
	}
}

// panics has the machine crash and waits for its stamp.
func (v *victim) panics() {
	v.t.Helper()
	ctx := v.t.Context()
	go v.vm.Start(ctx, lab.Proc{Argv: []string{"/bin/sh", "-c", "echo c >/proc/sysrq-trigger"}}) // it may be dead before it has answered
	v.stamped()
}

// stamped waits for the words that a kernel leaves when it panics.
func (v *victim) stamped() {
	v.t.Helper()
	region, err := v.target.Region(uapi.KindPanic)
	v.must(err)
	stamp := make([]byte, uapi.PanicSize)
	for end := time.Now().Add(hang); ; time.Sleep(time.Millisecond) {
		v.must(v.target.Do(v.t.Context(), region.Read(0, stamp)))
		if backdoor.DecodePanic(stamp) != nil {
			return
		}
		if time.Now().After(end) {
			v.t.Fatal("the machine does not panic")
		}
	}
}
