// SPDX-License-Identifier: Apache-2.0

package rdmatest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
)

// tune puts the NIC's interrupts, rxe's workers where it has some, and those of the
// connection manager on the CPU that a lock spares; they go back at the end.
func (k *loaded) tune(t *testing.T) {
	t.Helper()
	const workers = "/sys/devices/virtual/workqueue/cpumask"
	before := k.file(t, workers)
	k.agent(t, "--nic", "eth0", "--once")
	after := k.file(t, workers)
	if moved := after != before; moved != (k.vm.Config().Kernel != "6.1") {
		t.Errorf("workers on %s, before on %s", after, before)
	}
	k.vectorsMoved(t)
	k.workersPinned(t, true)
	t.Cleanup(func() {
		if _, err := k.vm.Must(context.Background(), "/bin/bdagent", "--untune"); err != nil {
			t.Error(err)
		}
		if b, err := k.vm.ReadFile(context.Background(), workers); err != nil || string(b) != before+"\n" {
			t.Errorf("put back: %s, before %s (%v)", b, before, err)
		}
		k.workersPinned(t, false)
	})
}

// workersPinned waits until the kernel's workers that are of no CPU's own, and who
// makes them, stay on the spared CPU; or until one of them may leave it again.
func (k *loaded) workersPinned(t *testing.T, want bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		where := k.roaming(t)
		pinned := !slices.ContainsFunc(where, func(cpus string) bool { return cpus != "0" })
		if len(where) > 0 && pinned == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after a minute workers may run on CPUs %q", where)
		}
	}
}

// roaming is where each of them may run.
func (k *loaded) roaming(t *testing.T) (cpus []string) {
	t.Helper()
	all, err := k.vm.PS(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if !strings.HasPrefix(p.Comm, "kworker/u") && p.Comm != "kthreadd" {
			continue
		}
		status, err := k.vm.ReadFile(context.Background(), fmt.Sprintf("/proc/%d/status", p.PID))
		if err != nil {
			continue // it has ended
		}
		for line := range strings.Lines(string(status)) {
			if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
				cpus = append(cpus, strings.TrimSpace(list))
			}
		}
	}
	return cpus
}

// vectorsMoved: no queue of the NIC strikes at a CPU that the lock will hold, not
// even one that has not struck since it was told where to.
func (k *loaded) vectorsMoved(t *testing.T) {
	t.Helper()
	const script = "for v in /sys/class/net/eth0/device/../msi_irqs/*; do cat /proc/irq/${v##*/}/effective_affinity; done"
	out, err := k.vm.Must(t.Context(), "/bin/busybox", "sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Fields(out)
	if len(all) == 0 {
		t.Error("eth0 has no interrupts")
	}
	for i, mask := range all {
		if strings.TrimLeft(mask, "0") != "1" {
			t.Errorf("interrupt %d of eth0 strikes at %s", i, mask)
		}
	}
}

// bomb fills the target with processes that only compute. They are made before
// any computes: beside those that do it would take minutes.
func (k *loaded) bomb(t *testing.T, n int) {
	t.Helper()
	const gate = "/tmp/gate"
	script := fmt.Sprintf("rm -f %[1]s; mkfifo %[1]s; exec 3<>%[1]s; i=0\n"+
		"while [ $i -lt %[2]d ]; do (read x <&3; while :; do :; done) & i=$((i+1)); done; wait", gate, n)
	pid, err := k.vm.Start(t.Context(), lab.Proc{Argv: []string{"/bin/busybox", "sh", "-c", script}, UID: 4242})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.vm.Kill(context.Background(), -pid, 9) })
	for end := time.Now().Add(3 * time.Minute); k.processes(t, 4242) <= n; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("three minutes and not %d processes", n)
		}
	}
	if err := k.vm.WriteFile(t.Context(), gate, bytes.Repeat([]byte("\n"), n), 0); err != nil {
		t.Fatal(err)
	}
}

func (k *loaded) processes(t *testing.T, uid int) (n int) {
	t.Helper()
	all, err := k.vm.PS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.UID == uid {
			n++
		}
	}
	return n
}

// lockWord posts a lock request over the connection.
func (c *conn) lockWord(t *testing.T, k *loaded, regions map[string]uapi.Region, want, epoch, flags uint32, lease time.Duration) {
	t.Helper()
	seq := uint64(time.Now().UnixNano()) | 1
	r := uapi.LockReq{
		Want: want, Epoch: epoch, LeaseMs: uint32(lease / time.Millisecond), DrainMs: uint32(lease / 6 / time.Millisecond), // a CPU has a second more
		Flags: flags, Monitor: c.grant.Monitor, Seq: seq, Commit: uint32(seq),
	}
	if want == uapi.WantFree {
		r.LeaseMs, r.DrainMs, r.Flags = 0, 0, 0
	}
	c.record(t, k, regions["lock"], uapi.KindLockReq, r)
}

// record signs and posts one for the lock or the fence, in its two writes.
func (c *conn) record(t *testing.T, k *loaded, area uapi.Region, kind uint32, r uapi.LockReq) {
	t.Helper()
	r.Sign(keys[r.Monitor], k.boot, kind)
	b := r.Encode()
	at := area.Addr + uint64(r.Monitor)*uapi.LockReqSize
	c.write(t, at, area.Key, b[:uapi.LockReqCommitOff])
	c.write(t, at+uapi.LockReqCommitOff, area.Key, b[uapi.LockReqCommitOff:uapi.LockReqCommitOff+4])
}

// lockState reads the lock's page until it is as wanted.
func (c *conn) lockState(t *testing.T, regions map[string]uapi.Region, what string, ok func(*uapi.LockAck) bool) *uapi.LockAck {
	t.Helper()
	r := regions["lock.ack"]
	a := &uapi.LockAck{}
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		if err := a.Decode(c.read(t, r.Addr, r.Key, uapi.LockAckSize)); err != nil {
			t.Fatal(err)
		}
		if a.Seq%2 == 0 && ok(a) {
			return a
		}
		if time.Now().After(end) {
			t.Fatalf("a minute and not: %s: state %s, refusals %v", what, uapi.LockStateName(a.State), a.Refusal)
		}
	}
}

// sensor is the value of one in the Sensor Box.
func (c *conn) sensor(t *testing.T, regions map[string]uapi.Region, name string) uint64 {
	t.Helper()
	r := regions["sensorbox"]
	box := c.read(t, r.Addr, r.Key, int(r.Len))
	for off := uapi.SboxSize; off+uapi.SensorSize <= len(box); off += uapi.SensorSize {
		if uapi.CString(box[off+uapi.SensorNameOff:off+uapi.SensorNameOff+uapi.SensorName]) == name {
			return binary.LittleEndian.Uint64(box[off+uapi.SensorValueOff:])
		}
	}
	t.Fatalf("no sensor %s", name)
	return 0
}

// TestReadsUnderLoad: a target full of processes goes on answering, and lets a
// monitor in. How long that takes is told, not judged: the host is shared. In make
// soak also without real-time softirqs and workers, to compare, and on both kernels:
// in make test 6.1 is read under such a load, and locked, by TestLockSparesTheNIC.
func TestReadsUnderLoad(t *testing.T) {
	how := [][]string{nil}
	if lab.Soak() {
		how = [][]string{{"rdma.softirq_fifo=0", "rdma.workers_fifo=0"}, {"rdma.workers_fifo=0"}, nil}
	}
	onOne(t, "6.12", func(t *testing.T, kernel string) {
		for _, params := range how {
			t.Run(strings.Join(append(params, "end"), " "), func(t *testing.T) { underLoad(t, kernel, params) })
		}
	})
}

func underLoad(t *testing.T, kernel string, params []string) {
	k := load(t, kernel, params...)
	k.tune(t)
	c := k.dial(t, hello{})
	k.bomb(t, 300)
	time.Sleep(time.Second)
	for range 3 {
		worst, err := c.slowest(t, c.grant.RootAddr, c.grant.RootKey, uapi.RootSize, 50)
		began := time.Now()
		again, denied := k.tryDial(t, hello{monitor: 1})
		t.Logf("the slowest of 50 reads took %v (%v), another dial %v (%v)", worst, err, time.Since(began), denied)
		if denied == nil {
			again.close(t)
		}
		if params == nil && (err != nil || denied != nil) {
			t.Errorf("with all that the module does: %v, %v", err, denied)
		}
		if err != nil {
			c.close(t)
			c = k.dial(t, hello{flags: uapi.HelloTakeover})
		}
	}
	c.close(t)
}

// TestLockSparesTheNIC: the lock is asked for, held, renewed and given back over
// RDMA while every CPU but the NIC's stands still, idle and under a fork bomb.
func TestLockSparesTheNIC(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1")
		k.tune(t)
		c := k.dial(t, hello{})
		regions := c.table(t)
		epoch := uint32(0)
		for _, processes := range []int{0, 300} {
			if processes > 0 {
				k.bomb(t, processes)
				time.Sleep(time.Second)
			}
			for range 3 {
				epoch++
				c.holds(t, k, regions, epoch, processes)
			}
		}
		if err := k.vm.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		k.healthy(t)
	})
}

const spare = uapi.LockSpare | uapi.LockDrain

// holds is one acquisition, reads and a renewal under it, and the release.
func (c *conn) holds(t *testing.T, k *loaded, regions map[string]uapi.Region, epoch uint32, processes int) {
	t.Helper()
	began := time.Now()
	c.lockWord(t, k, regions, uapi.WantLock, epoch, spare, 30*time.Second)
	a := c.lockState(t, regions, "held", func(a *uapi.LockAck) bool { return a.State == uapi.LockHeld && a.Epoch == epoch })
	granted := time.Since(began)
	if a.Free[0] != 1 || a.IPI[0]|a.NMI[0]|a.Parked[0] != 2 {
		t.Errorf("free %b, held %b by IPI, %b by NMI, %b parked", a.Free[0], a.IPI[0], a.NMI[0], a.Parked[0])
	}
	before := c.sensor(t, regions, "TICKS.1")
	root := c.grant
	worst, err := c.slowest(t, root.RootAddr, root.RootKey, uapi.RootSize, 50)
	if err != nil {
		t.Fatalf("under the lock: %v", err)
	}
	c.lockWord(t, k, regions, uapi.WantLock, epoch, spare, 30*time.Second)
	c.lockState(t, regions, "renewed", func(b *uapi.LockAck) bool { return b.State == uapi.LockHeld && b.LeaseEndNs > a.LeaseEndNs })
	if after := c.sensor(t, regions, "TICKS.1"); after != before {
		t.Errorf("CPU 1 ticked from %d to %d while it was held", before, after)
	}
	c.lockWord(t, k, regions, uapi.WantFree, epoch, 0, 0)
	c.lockState(t, regions, "released", func(a *uapi.LockAck) bool { return a.State == uapi.LockFree && a.Expired == 0 })
	t.Logf("%d processes: granted in %v, drained %d, the slowest of 50 reads took %v", processes, granted, a.Drained, worst)
}

// TestHeldCPUsAnswerTheNICs: a process on the NIC's CPU has the kernel call every
// CPU, each time it patches its code for a static key, and wait for the answers
// without leaving its own. Held CPUs give them; else nobody would serve the NIC.
func TestHeldCPUsAnswerTheNICs(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1")
		k.tune(t)
		k.heldCPUsAnswer(t)
	})
}

// TestPollingCPUsAnswerTheNICs: as before, with CPUs that poll a flag in their idle
// loop, as hardware's do: callers spare them the interrupt then.
func TestPollingCPUsAnswerTheNICs(t *testing.T) {
	t.Parallel() // when the tests that share machines are through
	k := alone(t, "6.1", "idle=poll")
	k.tune(t)
	k.heldCPUsAnswer(t)
}

func (k *loaded) heldCPUsAnswer(t *testing.T) {
	t.Helper()
	c := k.dial(t, hello{})
	const script = "while :; do echo 1 >/proc/sys/kernel/sched_schedstats; echo 0 >/proc/sys/kernel/sched_schedstats; done"
	pid, err := k.vm.Start(t.Context(), lab.Proc{Argv: []string{"/bin/busybox", "taskset", "1", "/bin/busybox", "sh", "-c", script}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.vm.Kill(context.Background(), pid, 9) })
	time.Sleep(time.Second)
	regions := c.table(t)
	for epoch := range uint32(3) {
		c.holds(t, k, regions, epoch+1, 0)
	}
	if all, err := k.vm.PS(t.Context()); err != nil || !slices.ContainsFunc(all, func(p lab.Process) bool { return p.PID == pid }) {
		t.Errorf("the process has ended (%v)", err)
	}
	k.healthy(t)
	c.close(t)
}

// TestLeaseWithoutMonitor: a monitor that is cut off under its lock leaves a
// target that runs on when the lease ends.
func TestLeaseWithoutMonitor(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1")
		k.tune(t)
		c := k.dial(t, hello{})
		regions := c.table(t)
		// Long enough to be seen held.
		c.lockWord(t, k, regions, uapi.WantLock, 1, spare, 3*time.Second)
		c.lockState(t, regions, "held", func(a *uapi.LockAck) bool { return a.State == uapi.LockHeld })
		if _, err := c.tryRead(t, 0, 1, 8); err == nil { // ends the queue pair
			t.Error("a wild read was answered")
		}
		c.close(t)
		again := k.dial(t, hello{flags: uapi.HelloTakeover})
		again.lockState(t, again.table(t), "the lease ended", func(a *uapi.LockAck) bool { return a.State == uapi.LockFree && a.Expired == 1 })
		again.close(t)
		k.healthy(t)
	})
}
