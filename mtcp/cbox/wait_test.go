// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

// Who waits for the client reads nothing: what came is in no snapshot's past.
func TestWaitReadable(t *testing.T) {
	client, c := accepted(t, Config{})
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if err := c.WaitReadable(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("nothing sent: %v", err)
	}
	_ = c.SetReadDeadline(time.Now().Add(hang))
	waits := make(chan error, 1)
	go func() { waits <- c.WaitReadable() }()
	send(t, client, "ab")
	if err := <-waits; err != nil {
		t.Fatal(err)
	}
	export(t, c, "none of it used")
	get(t, c, "a")
	c = again(t, c, Config{}) // "a" is in the log now, "b" in the socket
	imported(t, c, "none of it used")
	for _, want := range []string{"a", "b"} {
		if err := c.WaitReadable(); err != nil {
			t.Fatal(err)
		}
		get(t, c, want)
	}
	_ = client.CloseWrite()
	if err := c.WaitReadable(); err != io.EOF {
		t.Fatalf("at the end: %v", err)
	}
	if _, other := accepted(t, Config{}); other.Close() != nil || other.WaitReadable() == nil {
		t.Error("a closed session can be waited for")
	}
}
