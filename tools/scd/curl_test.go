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
	"sync"
	"time"
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
// its server when the last byte is there. long is that and what is under way before a
// download waits.
const (
	inKernels = 12 << 20
	long      = inKernels + 6<<20
)

// rein is how a client is held back: it goes at a walk, so that some is under way when its
// session moves, until it is let go.
type rein chan struct{}

const walk = 5 << 20 // bytes a second

func (l rein) pace(n int) {
	select {
	case <-l:
	case <-time.After(time.Duration(n) * time.Second / walk):
	}
}

// taken is what a download has brought. Its client reads no more while the rest would
// fit into the kernels, until it is let go: however slow the machine is, the session
// is there as long as the test needs it.
type taken struct {
	rein
	sum  hash.Hash
	left int // until it waits
}

func (d *taken) Write(b []byte) (int, error) {
	if d.left -= len(b); d.left < 0 {
		<-d.rein
	} else {
		d.pace(len(b))
	}
	return d.sum.Write(b)
}

// download begins one from an address; end lets go of the client and waits for all of
// it. One that fits into the kernels lasts as long as its server is slow.
func (w *world) download(from netip.Addr, total int) (end func()) {
	w.t.Helper()
	got := &taken{make(rein), sha256.New(), total - inKernels}
	letGo := sync.OnceFunc(func() { close(got.rein) })
	if total <= inKernels {
		letGo()
	}
	cmd, errs := w.curl(nil, got, fmt.Sprintf("http://%s/%d", netip.AddrPortFrom(from, port), total))
	return func() {
		w.t.Helper()
		letGo()
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
	rein
	at, total int
}

func (g *given) Read(b []byte) (int, error) {
	most := g.total - g.at
	switch {
	case most == 0:
		return 0, io.EOF
	case most > rest:
		most -= rest
	default:
		<-g.rein
	}
	n := min(len(b), most)
	g.pace(n)
	pattern(b[:n], int64(g.at))
	g.at += n
	return n, nil
}

// upload begins one to an address; end lets the client give all of it and waits for the
// answer.
func (w *world) upload(to netip.Addr, total int) (end func()) {
	w.t.Helper()
	give := &given{rein: make(rein), total: total}
	var sum bytes.Buffer
	cmd, errs := w.curl(give, &sum, "-H", "Expect:", "-H", "Transfer-Encoding:", "-H", fmt.Sprintf("Content-Length: %d", total),
		"-T", "-", fmt.Sprintf("http://%s/x", netip.AddrPortFrom(to, port)))
	return func() {
		w.t.Helper()
		close(give.rein)
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
