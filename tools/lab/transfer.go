// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// transferPort is where a guest of Transfer listens.
const transferPort = "9000"

// Transfer has a process of the guest, on these CPUs if any are named, send over
// TCP without end, and counts the bytes that arrive on this host, which has an
// address on the guest's network (HostAddr). addr is the guest's.
func Transfer(t *testing.T, vm *VM, addr string, cpus ...int) *atomic.Int64 {
	t.Helper()
	p := Proc{Argv: []string{"/bin/busybox", "sh", "-c", "exec nc -l -p " + transferPort + " </dev/zero"}, CPUs: cpus}
	if _, err := vm.Start(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	var conn net.Conn
	dial := func() (err error) {
		conn, err = net.DialTimeout("tcp", net.JoinHostPort(addr, transferPort), 10*time.Second)
		return err
	}
	for end := time.Now().Add(time.Minute); conn == nil; time.Sleep(50 * time.Millisecond) {
		if err := InNetns(vm.record.Config.Net, dial); err != nil && time.Now().After(end) {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { conn.Close() })
	n := &atomic.Int64{}
	go func() { _, _ = io.Copy(counting{n}, conn) }()
	return n
}

type counting struct{ n *atomic.Int64 }

func (c counting) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}
