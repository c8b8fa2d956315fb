// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"encoding/binary"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lazystate/tools/lab/kernel"
)

func TestConfigIsChecked(t *testing.T) {
	if err := (Config{NICs: []NIC{{}, {Bridge: "none"}}}).withDefaults("vm").check(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for want, c := range map[string]Config{
		`kernel "5.10"`:  {Kernel: "5.10"},
		"memory":         {MemMiB: 64},
		"vCPUs":          {VCPUs: 33},
		"swap":           {SwapMiB: -1},
		"power of two":   {BARMiB: 3},
		"boot timeout":   {BootTimeout: 2 * bootBound},
		"ParsePrefix":    {NICs: []NIC{{Addr: "10.0.0.1"}}},
		"of 1 vCPU":      {ICount: true},
		"bridge":         {NICs: []NIC{{Bridge: "a-name-too-long-for-one"}}},
		"MTU":            {NICs: []NIC{{MTU: 100}}},
		`namespace "../`: {Net: "../x"},
	} {
		if err := c.withDefaults("vm").check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v; want it to name %q", c, err, want)
		}
	}
	for _, name := range []string{"", "a/b", "..", "A", strings.Repeat("x", 32)} {
		if checkName("VM", name) == nil {
			t.Errorf("the name %q passes", name)
		}
	}
}

func TestQEMUArguments(t *testing.T) {
	c := Config{MemMiB: 300, SwapMiB: 64, NICs: []NIC{{MTU: 4300}}, Append: "isolcpus=1"}.withDefaults("vm")
	k := &kernel.Kernel{Series: "6.1", Release: "6.1.0-1-amd64", Dir: "/cache"}
	line := strings.Join(qemuArgs(dirOf("vm"), c, k, tcg), " ")
	for _, want := range []string{
		"-kernel /cache/vmlinux", "size=300M,mem-path=/dev/shm/lazystate/vm/ram,share=on", "ivshmem-plain,memdev=bar",
		"rootfstype=ramfs", "isolcpus=1", "queues=2", "mq=on,vectors=6", "host_mtu=4300", "mac=" + mac("vm", 0), "cache=unsafe",
	} {
		if !strings.Contains(line, want) {
			t.Errorf("no %q in %s", want, line)
		}
	}
	if strings.Contains(line, "icount") {
		t.Errorf("instructions are counted unasked: %s", line)
	}
	c.ICount, c.VCPUs = true, 1
	if line = strings.Join(qemuArgs(dirOf("vm"), c, k, tcgCounted), " "); !strings.Contains(line, "-icount shift=0") || !strings.Contains(line, "tsc_early_khz=1000000 ") {
		t.Errorf("instructions are not counted: %s", line)
	}
	c.ICount, c.VCPUs = false, 2
	c.KASLR, c.Debian = true, true
	line = strings.Join(qemuArgs(dirOf("vm"), c, k, tcg), " ")
	if !strings.Contains(line, "vmlinuz-6.1.0-1-amd64") || strings.Contains(line, "mitigations") {
		t.Errorf("KASLR with Debian's command line: %s", line)
	}
	if len(tapName("a-vm-with-a-very-long-name-of-31", 9)) > 15 {
		t.Error("an interface name of more than 15 bytes")
	}
}

func TestSwapHeader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "swap")
	if err := makeSwap(path, 8); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil || len(b) != 8<<20 || string(b[4086:4096]) != "SWAPSPACE2" {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if last := binary.LittleEndian.Uint32(b[1028:]); last != 8<<20/4096-1 {
		t.Errorf("last page %d", last)
	}
}

// serveQMP is a QEMU that knows one command and sends an event before each answer.
func serveQMP(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		enc, dec := json.NewEncoder(conn), json.NewDecoder(conn)
		enc.Encode(map[string]any{"QMP": map[string]any{}})
		for {
			var m struct{ Execute string }
			if dec.Decode(&m) != nil {
				break
			}
			enc.Encode(map[string]any{"event": "STOP"})
			if m.Execute == "fail" {
				enc.Encode(map[string]any{"error": map[string]string{"class": "GenericError", "desc": "no"}})
			} else {
				enc.Encode(map[string]any{"return": map[string]string{"did": m.Execute}})
			}
		}
		conn.Close()
	}
}

func TestQMP(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go serveQMP(ln)
	ret, err := qmp(t.Context(), path, "stop", nil)
	if err != nil || string(ret) != `{"did":"stop"}` {
		t.Errorf("%s, %v", ret, err)
	}
	if _, err := qmp(t.Context(), path, "fail", nil); err == nil || err.Error() != "qmp fail: no" {
		t.Errorf("%v", err)
	}
}
