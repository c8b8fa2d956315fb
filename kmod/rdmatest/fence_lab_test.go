// SPDX-License-Identifier: Apache-2.0

package rdmatest

import (
	"encoding/binary"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
)

// own is a machine that a test may break, with all that reading it over RDMA needs.
func own(t *testing.T, kernel, addr, ipv6 string, params ...string) *loaded {
	t.Helper()
	k := &loaded{addr: addr, counter: firstCounter}
	k.vm = lab.New(t, lab.Config{
		Kernel: kernel, Net: network(), NICs: []lab.NIC{{Addr: addr + "/24"}},
		Files: map[string]string{rdmaTool: rdmaTool}, Modules: []string{"rdma_rxe", "rdma_cm"},
	})
	addRxe(t, k.vm, ipv6)
	k.insmod(t, params...)
	k.agent(t, "--nic", "eth0", "--once")
	k.peer = newPeer(t, watcher(t))
	return k
}

// TestFenceSparesTheNIC: over SoftRoCE a fenced machine is read as before, and sends
// nothing else: not the transfer that a process on the spared CPU is in the middle
// of, nor a retransmission of it. It is stopped too.
func TestFenceSparesTheNIC(t *testing.T) {
	t.Parallel() // when the tests that share machines are through
	for i, kernel := range kernels {
		t.Run(kernel, func(t *testing.T) {
			addr := [][2]string{{"10.77.0.6", "fd77::6"}, {"10.77.0.7", "fd77::7"}}[i]
			k := own(t, kernel, addr[0], addr[1], "allow_fence=1")
			if err := lab.HostAddr(network(), k.vm.Config().NICs[0].Bridge, "10.77.0.254/24"); err != nil && i == 0 {
				t.Fatal(err)
			}
			k.fenceSparesTheNIC(t)
		})
	}
}

func (k *loaded) fenceSparesTheNIC(t *testing.T) {
	t.Helper()
	c := k.dial(t, hello{})
	regions := c.table(t)
	sent, err := k.vm.Sent(0)
	if err != nil {
		t.Fatal(err)
	}
	defer sent.Close()
	k.beating(t, "hold", "7")
	c.beat(t, regions)
	got := lab.Transfer(t, k.vm, k.addr, 0)
	rises(t, "bytes of the transfer", got)

	a := c.fenced(t, k, regions)
	if a.Parked[0] != 1 || a.IPI[0]|a.NMI[0] != 2 || a.CPU[0].Where != uapi.CPUSilent {
		t.Errorf("parked %b, held %b by IPI, %b by NMI; CPU 0: %s", a.Parked[0], a.IPI[0], a.NMI[0], uapi.CPUWhereName(uint32(a.CPU[0].Where)))
	}
	tcp, roce := sent.TCP.Load(), sent.RoCE.Load()
	worst, err := c.slowest(t, c.grant.RootAddr, c.grant.RootKey, uapi.RootSize, 200)
	if err != nil {
		t.Errorf("reads behind the fence: %v", err)
	}
	again := k.dial(t, hello{monitor: 1}) // who comes late gets in too
	again.close(t)
	before := c.beats(t, regions)
	time.Sleep(2 * time.Second) // some retransmission timers
	if n := sent.TCP.Load() - tcp; n != 0 {
		t.Errorf("%d segments behind the fence", n)
	}
	if sent.RoCE.Load() == roce {
		t.Error("the capture has not seen the reads either")
	}
	if after := c.beats(t, regions); after != before {
		t.Errorf("a process on the spared CPU went on from %d to %d", before, after)
	}
	t.Logf("the slowest of 200 reads behind the fence took %v", worst)
	c.close(t)
}

// fenced has the machine fenced, and silent.
func (c *conn) fenced(t *testing.T, k *loaded, regions map[string]uapi.Region) *uapi.LockAck {
	t.Helper()
	seq := uint64(time.Now().UnixNano()) | 1
	c.record(t, k, regions["fence"], uapi.KindFence, uapi.LockReq{
		Want: uapi.FenceWant, Epoch: 1, DrainMs: 50, Flags: spare, Monitor: c.grant.Monitor, Seq: seq, Commit: uint32(seq),
	})
	return c.lockState(t, regions, "fenced and silent", func(a *uapi.LockAck) bool {
		return a.State == uapi.LockFenced && a.Free == [4]uint64{}
	})
}

// TestFenceStopsEveryThread: a process is stopped whose first thread waits for a CPU that
// hangs, so that it takes no signal. The others went on, on the CPU that the fence spares,
// and changed what was read and believed.
func TestFenceStopsEveryThread(t *testing.T) {
	t.Parallel()
	k := own(t, "6.12", "10.77.0.8", "fd77::8", "allow_fence=1")
	if err := k.vm.Insmod(t.Context(), lab.Module(t, k.vm, "bd_inject"), "i_am_a_lab=1"); err != nil {
		t.Fatal(err)
	}
	c := k.dial(t, hello{})
	regions := c.table(t)
	k.beating(t, "apart", "7", "1")
	c.beat(t, regions)
	go k.vm.WriteFile(t.Context(), trigger, []byte("spin 1 0"), 0) // it may not come back
	c.hangs(t, regions, "TICKS.1")
	a := c.fenced(t, k, regions)
	if a.Parked[0] != 1 || a.NMI[0] != 2 {
		t.Errorf("parked %b, held %b by IPI, %b by NMI", a.Parked[0], a.IPI[0], a.NMI[0])
	}
	before := c.beats(t, regions)
	time.Sleep(time.Second) // a hundred beats
	if after := c.beats(t, regions); after != before {
		t.Errorf("a thread on the spared CPU went on from %d to %d", before, after)
	}
	c.close(t)
}

// beating starts kmod/test/user_sensor.c on the CPU that the fence will spare.
func (k *loaded) beating(t *testing.T, args ...string) {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "user_sensor")
	out, err := exec.CommandContext(t.Context(), "gcc", "-O2", "-static", "-o", bin, "../test/user_sensor.c").CombinedOutput()
	if err != nil {
		t.Fatalf("compile user_sensor.c: %v\n%s", err, out)
	}
	if err := k.vm.Put(t.Context(), bin, "/tmp/user_sensor"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.vm.Start(t.Context(), lab.Proc{Argv: append([]string{"/tmp/user_sensor"}, args...), CPUs: []int{0}}); err != nil {
		t.Fatal(err)
	}
}

// hangs waits until a clock has stood still for a second.
func (c *conn) hangs(t *testing.T, regions map[string]uapi.Region, clock string) {
	t.Helper()
	last, since := uint64(0), time.Now()
	for end := since.Add(time.Minute); time.Since(since) < time.Second; time.Sleep(20 * time.Millisecond) {
		if n := c.sensor(t, regions, clock); n != last {
			last, since = n, time.Now()
		}
		if time.Now().After(end) {
			t.Fatalf("%s goes on", clock)
		}
	}
}

// beat waits until it has begun.
func (c *conn) beat(t *testing.T, regions map[string]uapi.Region) {
	t.Helper()
	for end := time.Now().Add(time.Minute); c.beats(t, regions) < 3; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a minute and no beat")
		}
	}
}

// beats is how far it has come; 0 before it begins.
func (c *conn) beats(t *testing.T, regions map[string]uapi.Region) uint64 {
	t.Helper()
	r := regions["user_sensors"]
	b := c.read(t, r.Addr, r.Key, int(r.Len))
	for off := 4096; off < len(b); off += uapi.SensorSize {
		if uapi.CString(b[off+uapi.SensorNameOff:][:uapi.SensorName]) == "TEST7" {
			return binary.LittleEndian.Uint64(b[off+uapi.SensorValueOff:])
		}
	}
	return 0
}

func rises(t *testing.T, what string, n *atomic.Int64) {
	t.Helper()
	for before, end := n.Load(), time.Now().Add(time.Minute); n.Load() == before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("a minute, and no more %s", what)
		}
	}
}
