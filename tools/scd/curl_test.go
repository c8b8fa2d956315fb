// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
)

// curl starts a client that knows nothing.
func (w *world) curl(out io.Writer, args ...string) (*exec.Cmd, *bytes.Buffer) {
	w.t.Helper()
	path, err := exec.LookPath("curl")
	if err != nil {
		w.t.Skip("there is no curl")
	}
	var errs bytes.Buffer
	cmd := exec.Command(path, append([]string{"--silent", "--show-error", "--fail", "--max-time", fmt.Sprint(int(hang.Seconds()))}, args...)...)
	cmd.Stdout, cmd.Stderr = out, &errs
	w.client.Do(cmd.Start)
	w.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, &errs
}

// inKernels is more than what fits into two kernels' buffers: a session is over at
// its server when the last byte is there.
const inKernels = 12 << 20

// taken is what a download has brought. Its client reads no more while the rest would
// fit into the kernels, until it is let go: however slow the machine is, the session
// is there as long as the test needs it.
type taken struct {
	sum   hash.Hash
	left  int // until it waits
	letGo chan struct{}
}

func (d *taken) Write(b []byte) (int, error) {
	if d.left -= len(b); d.left < 0 {
		<-d.letGo
	}
	return d.sum.Write(b)
}

// download begins one from an address, so many bytes per second at most; end waits for
// all of it. One that fits into the kernels lasts as long as its server is slow.
func (w *world) download(from netip.Addr, total int, rate string) (end func()) {
	w.t.Helper()
	got := &taken{sha256.New(), total, make(chan struct{})}
	if total > inKernels {
		got.left -= inKernels
	}
	cmd, errs := w.curl(got, "--limit-rate", rate, fmt.Sprintf("http://%s/%d", netip.AddrPortFrom(from, port), total))
	return func() {
		w.t.Helper()
		close(got.letGo)
		if err := cmd.Wait(); err != nil {
			w.t.Fatalf("curl: %v: %s", err, errs)
		}
		w.sameBytes(hex.EncodeToString(got.sum.Sum(nil)), total)
	}
}

// upload begins one, which lasts as long as its rate says.
func (w *world) upload(to netip.Addr, total int, rate string) (end func()) {
	w.t.Helper()
	b := make([]byte, total)
	pattern(b, 0)
	sent := filepath.Join(w.t.TempDir(), "sent")
	if err := os.WriteFile(sent, b, 0o600); err != nil {
		w.t.Fatal(err)
	}
	var sum bytes.Buffer
	cmd, errs := w.curl(&sum, "--limit-rate", rate, "-H", "Expect:", "-T", sent, fmt.Sprintf("http://%s/x", netip.AddrPortFrom(to, port)))
	return func() {
		w.t.Helper()
		if err := cmd.Wait(); err != nil {
			w.t.Fatalf("curl: %v: %s", err, errs)
		}
		w.sameBytes(sum.String(), total)
	}
}

func (w *world) sameBytes(sum string, total int) {
	w.t.Helper()
	if sum != patternSum(int64(total)) {
		w.t.Error("other bytes have arrived")
	}
}
