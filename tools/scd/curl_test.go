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
	"os/exec"
)

// curl starts a client that knows nothing.
func (w *world) curl(in io.Reader, out io.Writer, args ...string) (*exec.Cmd, *bytes.Buffer) {
	w.t.Helper()
	path, err := exec.LookPath("curl")
	if err != nil {
		w.t.Skip("there is no curl")
	}
	var errs bytes.Buffer
	cmd := exec.Command(path, append([]string{"--silent", "--show-error", "--fail", "--max-time", fmt.Sprint(int(hang.Seconds()))}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, &errs
	w.client.Do(cmd.Start)
	w.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, &errs
}

// inKernels is more than what fits into two kernels' buffers, as the rig bounds them: a session is over at
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
	cmd, errs := w.curl(nil, got, "--limit-rate", rate, fmt.Sprintf("http://%s/%d", netip.AddrPortFrom(from, port), total))
	return func() {
		w.t.Helper()
		close(got.letGo)
		if err := cmd.Wait(); err != nil {
			w.t.Fatalf("curl: %v: %s", err, errs)
		}
		w.sameBytes(hex.EncodeToString(got.sum.Sum(nil)), total)
	}
}

// rest is what a client gives only once it is let go: so long the session is there.
const rest = 64 << 10

// given is what an upload gives.
type given struct {
	at, total int
	letGo     chan struct{}
}

func (g *given) Read(b []byte) (int, error) {
	most := g.total - g.at
	switch {
	case most == 0:
		return 0, io.EOF
	case most > rest:
		most -= rest
	default:
		<-g.letGo
	}
	n := min(len(b), most)
	pattern(b[:n], int64(g.at))
	g.at += n
	return n, nil
}

// upload begins one to an address, so many bytes per second at most; end lets the
// client give all of it and waits for the answer.
func (w *world) upload(to netip.Addr, total int, rate string) (end func()) {
	w.t.Helper()
	give := &given{total: total, letGo: make(chan struct{})}
	var sum bytes.Buffer
	cmd, errs := w.curl(give, &sum, "--limit-rate", rate, "-H", "Expect:", "-H", "Transfer-Encoding:", "-H", fmt.Sprintf("Content-Length: %d", total),
		"-T", "-", fmt.Sprintf("http://%s/x", netip.AddrPortFrom(to, port)))
	return func() {
		w.t.Helper()
		close(give.letGo)
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
