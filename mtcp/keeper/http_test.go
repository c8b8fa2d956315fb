// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"testing"

	"lazystate/internal/freeport"
	"lazystate/mtcp/cbox"
)

// webServer is net/http over the keeper's listener, and nothing else: an answer
// follows from its request, so a process that comes after a dead one repeats it.
func webServer(c *Client) error {
	l, err := c.Listen(context.Background(), "tcp", "127.0.0.1:"+os.Getenv("KEEPER_PORT"), cbox.Config{})
	if err != nil {
		return err
	}
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		w.Header()["Date"] = nil // the one thing in it that would differ
		w.Header().Set("Content-Length", strconv.Itoa(n))
		writeBody(w, n)
	}))
}

func writeBody(w io.Writer, n int) {
	b := make([]byte, 1000)
	for at := 0; at < n; at += len(b) {
		for i := range b {
			b[i] = byte((at + i) * 7 >> 3)
		}
		if _, err := w.Write(b[:min(len(b), n-at)]); err != nil {
			return
		}
	}
}

// An ordinary client downloads from an ordinary server, whose process is killed
// four times on the way.
func TestDownloadAcrossKills(t *testing.T) {
	const size, kills = 24 << 20, 4
	_, socket := kept(t, Config{})
	port := freeport.Pick(t)
	p := started(t, "http", "Go", socket, port)
	dial(t, port).Close()
	client := &http.Client{Timeout: hang}
	defer client.CloseIdleConnections()
	resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/?n=%d", port, size))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, want := sha256.New(), sha256.New()
	for range kills {
		if _, err := io.CopyN(got, resp.Body, size/(kills+1)); err != nil {
			t.Fatal(err)
		}
		p.kill(t)
		p = started(t, "http", "Go", socket, port)
	}
	n, err := io.Copy(got, resp.Body)
	writeBody(want, size)
	if err != nil || string(got.Sum(nil)) != string(want.Sum(nil)) {
		t.Errorf("the last %d bytes, %v, or some before them, are wrong", n, err)
	}
}
