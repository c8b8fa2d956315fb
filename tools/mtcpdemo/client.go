// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"time"
)

// download is one curl.
type download struct {
	Client   string        `json:"client"`
	From     string        `json:"from"` // where it connected to
	Bytes    int64         `json:"bytes"`
	Right    bool          `json:"right"` // the file, byte for byte
	PauseMs  float64       `json:"longest_pause_ms"`
	Seconds  float64       `json:"seconds"`
	Error    string        `json:"error,omitempty"`
	goOn     chan struct{} // closed when the scene needs the session no more
	finished chan struct{}
}

// kept is what a client does not take while the scene needs its session: more than
// fits into the kernels, whose buffers may be 6 and 4 MB, where the server would be done with it.
const kept = 12 << 20

// end lets clients have the rest.
func end(all ...*download) {
	for _, x := range all {
		close(x.goOn)
	}
	for _, x := range all {
		<-x.finished
	}
}

// get begins a download by one of the client's addresses.
func (d *demo) get(ctx context.Context, way string, from netip.AddrPort) (*download, error) {
	client := ways[way]
	x := &download{Client: client.String(), From: from.String(), goOn: make(chan struct{}), finished: make(chan struct{})}
	cmd := exec.CommandContext(ctx, "curl", "--silent", "--show-error", "--fail", "--interface", client.String(), "http://"+from.String()+"/file")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = d.bed.Clients[0].Try(cmd.Start)
	}
	if err != nil {
		return nil, err
	}
	d.Downloads = append(d.Downloads, x)
	go func() {
		defer close(x.finished)
		x.read(ctx, out, d.sum, d.c.Int("size")<<20, d.c.Int("rate")<<20)
		if err := cmd.Wait(); err != nil {
			x.Error = fmt.Sprintf("%v: %s", err, errs.Bytes())
		}
	}()
	return x, nil
}

// read takes so many bytes a second of what curl writes (its own --limit-rate
// stands still for a second now and then), and notes how long nothing comes.
func (d *download) read(ctx context.Context, out io.Reader, want string, size, rate int) {
	sum := sha256.New()
	b := make([]byte, 1<<16)
	began := time.Now()
	for waits := true; ; {
		asked := time.Now()
		if waits && d.Bytes >= int64(size-kept) {
			select {
			case <-d.goOn:
			case <-ctx.Done(): // curl is killed
			}
			waits = false
			began = began.Add(time.Since(asked))
			asked = time.Now()
		}
		n, err := out.Read(b)
		if d.Bytes > 0 {
			d.PauseMs = max(d.PauseMs, float64(time.Since(asked).Microseconds())/1000)
		}
		sum.Write(b[:n])
		d.Bytes += int64(n)
		if err != nil {
			break
		}
		time.Sleep(time.Until(began.Add(time.Duration(float64(d.Bytes) / float64(rate) * float64(time.Second)))))
	}
	d.Seconds = time.Since(began).Seconds()
	d.Right = hex.EncodeToString(sum.Sum(nil)) == want
}
