// SPDX-License-Identifier: Apache-2.0

package keepertest

import (
	"bytes"
	"io"
	"os/exec"
	"testing"
)

// Client is a program that nobody here wrote.
type Client struct {
	*exec.Cmd
	t      testing.TB
	out    io.Reader
	stderr bytes.Buffer
}

// NewClient starts one, of which the output is read as the test likes.
func NewClient(t testing.TB, name string, args ...string) *Client {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%v: tools/bootstrap.sh installs it", err)
	}
	c := &Client{Cmd: exec.CommandContext(t.Context(), name, args...), t: t}
	c.Stderr = &c.stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// Read returns the next n bytes of its output.
func (c *Client) Read(n int) []byte {
	c.t.Helper()
	b := make([]byte, n)
	if k, err := io.ReadFull(c.out, b); err != nil {
		_ = c.Wait()
		c.t.Fatalf("%v: after %d of %d bytes: %v, %v\n%s", c.Args, k, n, err, c.ProcessState, c.stderr.Bytes())
	}
	return b
}

// Rest returns all that is left, after which the client must have been content.
func (c *Client) Rest() []byte {
	c.t.Helper()
	b, err := io.ReadAll(c.out)
	if e := c.Wait(); err != nil || e != nil {
		c.t.Fatalf("%v: after %d bytes: %v, %v\n%s", c.Args, len(b), err, e, c.stderr.Bytes())
	}
	return b
}
