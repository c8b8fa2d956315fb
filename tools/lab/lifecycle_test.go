// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const ownerEnv = "LAZYSTATE_TEST_OWNER"

var small = Config{MemMiB: 128, VCPUs: 1, NICs: []NIC{{Addr: "10.77.0.1/24"}}}

// ownVM is what a re-executed test binary does: own a VM until it is killed.
func ownVM(name string) int {
	vm, err := Up(context.Background(), name, small)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("up")
	<-vm.Exited()
	if err := vm.Down(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// startOwner starts such a process and waits until its VM is up.
func startOwner(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	if err := enter(t.Context()); err != nil { // its machine is in one of our places
		t.Fatal(err)
	}
	t.Cleanup(leave)
	cmd.Env = append(os.Environ(), ownerEnv+"="+name)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
		t.Fatalf("owner of %s says %q, %v", name, line, err)
	}
	return cmd
}

// traces lists everything a VM of this name leaves on the machine.
func traces(name string) []string {
	var found []string
	for _, p := range []string{stateRoot + "/" + name, shmRoot + "/" + name, netnsRoot + "/" + netnsPrefix + name} {
		if _, err := os.Stat(p); err == nil {
			found = append(found, p)
		}
	}
	return found
}

func running(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

func waitGone(t *testing.T, what string, gone func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !gone(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s is still there after a minute", what)
		}
	}
}

func TestKilledOwnerTakesQEMUAlongAndIsSwept(t *testing.T) {
	t.Parallel() // the second machine of its name waits until another test's is gone, and is refused then
	Need(t)
	name := fmt.Sprintf("killed-%d", os.Getpid())
	owner := startOwner(t, name)
	other, err := Attach(name)
	if err != nil {
		t.Fatal(err)
	}
	qemu := other.Info().QEMUPID
	if !running(qemu) {
		t.Fatal("no QEMU")
	}
	waiting := make(chan error, 1)
	go func() { _, err := other.Run(t.Context(), "sleep", "1000"); waiting <- err }()
	if _, err := Up(t.Context(), name, small); !errors.Is(err, ErrExists) {
		t.Errorf("a second VM of that name: %v", err)
	}
	time.Sleep(100 * time.Millisecond)
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	waitGone(t, "QEMU", func() bool { return !running(qemu) })
	owner.Wait() // QEMU goes with the thread that started it; the locks go with the last one
	if err := <-waiting; !errors.Is(err, ErrGone) {
		t.Errorf("what ran in it ends with %v", err)
	}
	if len(traces(name)) == 0 {
		t.Log("nothing was left: another process has listed machines since")
	}
	if infos, err := List(); err != nil || len(traces(name)) > 0 {
		t.Errorf("after a listing %v is left; %v, %v", traces(name), infos, err)
	}
	if _, err := Attach(name); !errors.Is(err, ErrNoVM) {
		t.Errorf("attach to the dead: %v", err)
	}
}

// TestStaleQEMUIsKilled covers an owner whose QEMU outlived it.
func TestStaleQEMUIsKilled(t *testing.T) {
	Need(t)
	name := fmt.Sprintf("stale-%d", os.Getpid())
	d := dirOf(name)
	like := exec.Command("/bin/sh", "-c", "sleep 30; :", d.ram()) // only its command line matters
	bystander := exec.Command("sleep", "1000")
	for _, c := range []*exec.Cmd{like, bystander} {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer c.Process.Kill()
	}
	// Under the lock, or what another process sweeps is half of it.
	err := locked(func() error {
		for _, dir := range []string{string(d), filepath.Dir(d.ram())} {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
		}
		return errors.Join(
			os.WriteFile(d.ram(), []byte("an old guest"), 0o600),
			makeNetns(name),
			d.write(record{Name: name, QEMUPID: like.Process.Pid, Config: Config{Net: name}}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := List(); err != nil {
		t.Fatal(err)
	}
	if left := traces(name); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if err := like.Wait(); err == nil {
		t.Error("the stale QEMU lives")
	}
	// The same record with the id of a process that is something else by now.
	err = locked(func() error {
		if err := os.MkdirAll(string(d), 0o700); err != nil {
			return err
		}
		return d.write(record{Name: name, QEMUPID: bystander.Process.Pid})
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := List(); err != nil || !running(bystander.Process.Pid) {
		t.Errorf("a process that reuses the id was killed; %v", err)
	}
}

// What shares /dev/shm need not share /run: memory is swept only when nobody
// holds its own lock.
func TestMemoryOfAnotherRunIsKept(t *testing.T) {
	t.Parallel()
	Need(t)
	name := fmt.Sprintf("foreign-%d", os.Getpid())
	if err := os.MkdirAll(filepath.Join(shmRoot, name), 0o700); err != nil {
		t.Fatal(err)
	}
	held, err := flock(shmLock(name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := List(); err != nil || len(traces(name)) != 1 {
		t.Errorf("while it is held: %v, %v", traces(name), err)
	}
	if _, err := Up(t.Context(), name, small); !errors.Is(err, ErrExists) {
		t.Errorf("a VM of that name: %v", err)
	}
	if _, err := List(); err != nil || len(traces(name)) != 1 {
		t.Errorf("after an attempt to take the name: %v, %v", traces(name), err)
	}
	held.Close()
	if _, err := List(); err != nil || len(traces(name)) != 0 {
		t.Errorf("after its holder: %v, %v", traces(name), err)
	}
}

// A namespace without a machine is swept when its maker is gone, not before.
func TestNetOfALivingTestIsKept(t *testing.T) {
	Need(t)
	name := Net(t)
	dead := name + "-dead"
	if err := locked(func() error { return makeNetns(dead) }); err != nil {
		t.Fatal(err)
	}
	if err := locked(sweep); err != nil {
		t.Fatal(err)
	}
	if len(traces(name)) != 1 || len(traces(dead)) != 0 {
		t.Errorf("of the living %v, of the dead %v", traces(name), traces(dead))
	}
}

// In make soak: in make test bdlab's tests do it.
func TestDownByAnotherProcess(t *testing.T) {
	if !Soak() {
		t.Skip("bdlab down of a machine that bdlab up has made shows it")
	}
	t.Parallel()
	Need(t)
	name := fmt.Sprintf("asked-%d", os.Getpid())
	owner := startOwner(t, name)
	other, err := Attach(name)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := other.Run(t.Context(), "hostname"); err != nil || r.Stdout != name+"\n" {
		t.Errorf("%+v, %v", r, err)
	}
	if err := other.Down(); err != nil {
		t.Fatal(err)
	}
	if left := traces(name); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if err := owner.Wait(); err != nil {
		t.Errorf("the owner ends with %v", err)
	}
}

// Each way in which a boot fails is an error with the last lines of the
// guest's console, and leaves nothing.
func TestFailedBoots(t *testing.T) {
	t.Parallel()
	Need(t)
	name := fmt.Sprintf("failed-%d", os.Getpid())
	for _, c := range []struct {
		name, want string
		cfg        Config
	}{
		{"panic", "Kernel panic", Config{Append: "rdinit=/nowhere root=/nowhere"}},
		{"late", "no answer in 700ms", Config{BootTimeout: 700 * time.Millisecond}},
		{"set-up", "nonsense", Config{Sysctl: map[string]string{"kernel.nonsense": "1"}}},
		{"no room", "no room for", Config{BARMiB: 1 << 30}},
		{"QEMU refuses", "qemu ended", Config{NICs: make([]NIC, 32)}}, // more than a PCI bus has slots
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.MemMiB = 128
			if c.cfg.NICs == nil {
				c.cfg.NICs = small.NICs
			}
			vm, err := Up(t.Context(), name, c.cfg)
			if err == nil {
				vm.Down()
				t.Fatal("it booted")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error does not say %q: %v", c.want, err)
			}
			if left := traces(name); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestQMPErrors(t *testing.T) {
	vm := Shared(t, plain("6.1"))
	var refused *QMPError
	if _, err := vm.QMP(t.Context(), "no-such-command", nil); !errors.As(err, &refused) || refused.Class != "CommandNotFound" {
		t.Errorf("%v", err)
	}
}

func TestHopeless(t *testing.T) {
	const tick, fatal = "[    4.1] CPU: 1 UID: 0 PID: 0 Comm: swapper/1 ", "\n[    4.2] Kernel panic - not syncing: Fatal exception in interrupt"
	for log, want := range map[string]string{
		"[    0.5] Run /init as init process":                                                             "",
		"[   22.8] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:":                                 "",
		"[   22.9] rcu: rcu_preempt kthread timer wakeup didn't happen for 5252 jiffies! g-1155 f0x0 RCU": ErrLostTimer.Error(),
		"[    2.3] Kernel panic - not syncing: VFS: Unable to mount root fs":                              "panicked",
		tick + "Not tainted 6.12" + fatal:                                                                 ErrOops.Error(),
		tick + "Tainted: G           OE      6.12" + fatal:                                                "panicked",
	} {
		if err := hopeless([]byte(log)); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", log, err)
		}
	}
}

func TestLastLines(t *testing.T) {
	many := strings.Repeat("\n[    1.0] registers", 200)
	for name, c := range map[string]struct {
		log, first string
		lines      int
	}{
		"empty":         {"", "", 1},
		"few":           {"first\r\nlast\r\n", "first", 2},
		"many":          {"first" + many, "[    1.0] registers", 12},
		"a report":      {"first\n[    4.1] Oops: 0002 [#1] SMP" + strings.Repeat("\nregisters", 30), "[    4.1] Oops: 0002 [#1] SMP", 31},
		"a long report": {"first\n[    4.1] BUG: unable to handle" + many, "[    4.1] BUG: unable to handle", 100},
	} {
		got := strings.Split(lastLines(c.log), "\n")
		if len(got) != c.lines || got[0] != c.first {
			t.Errorf("%s: %d lines from %q on", name, len(got), got[0])
		}
	}
}

// TestBootsAgain: a QEMU that gives up while its guest boots is begun again.
func TestBootsAgain(t *testing.T) {
	t.Parallel()
	Need(t)
	const name = "gives-up"
	gaveUp := make(chan int, 1)
	go func() {
		for pid := 0; pid == 0; time.Sleep(10 * time.Millisecond) {
			if r, err := dirOf(name).read(); err == nil && r.QEMUPID != 0 {
				pid = r.QEMUPID
				syscall.Kill(pid, syscall.SIGABRT)
				gaveUp <- pid
			}
		}
	}()
	vm, err := Up(t.Context(), name, Config{MemMiB: 128, VCPUs: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer vm.Down()
	if first, now := <-gaveUp, vm.Info().QEMUPID; first == now {
		t.Errorf("QEMU %d answers, and was told to give up", now)
	}
	if r, err := vm.Run(t.Context(), "true"); err != nil || r.Exit != 0 {
		t.Errorf("the second boot: %+v, %v", r, err)
	}
}
