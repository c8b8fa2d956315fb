// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"lazystate/tools/lab"
	"lazystate/verbs/verbstest"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m, 1)) }

// command runs bdrping beside the test; its first line of output comes before
// start returns.
type command struct {
	code   chan int
	out    *bufio.Reader
	stderr bytes.Buffer
	cancel context.CancelFunc
}

func start(t *testing.T, args ...string) *command {
	t.Helper()
	return startIn(t, func(f func() error) error { return f() }, args...)
}

// startIn lets in run the command.
func startIn(t *testing.T, in func(func() error) error, args ...string) *command {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	c := &command{code: make(chan int, 1), out: bufio.NewReader(r), cancel: cancel}
	go func() {
		code := -1
		err := in(func() error {
			code = run(ctx, append([]string{"bdrping"}, args...), strings.NewReader(""), w, &c.stderr)
			return nil
		})
		w.CloseWithError(err)
		c.code <- code
	}()
	t.Cleanup(cancel)
	return c
}

// listening waits until a server is ready.
func (c *command) listening(t *testing.T) {
	t.Helper()
	if line, err := c.out.ReadString('\n'); err != nil || !strings.HasPrefix(line, "listening at ") {
		t.Fatalf("%q, %v: %s", line, err, c.stderr.String())
	}
}

// rest waits for the end and returns what was printed.
func (c *command) rest(t *testing.T) string {
	t.Helper()
	b, err := io.ReadAll(c.out)
	if code := <-c.code; code != 0 || err != nil {
		t.Errorf("exit %d, %v: %s%s", code, err, b, c.stderr.String())
	}
	return string(b)
}

func TestBothRoles(t *testing.T) {
	here, there := verbstest.Loopback().String(), verbstest.Loopback().String()
	for _, size := range []string{"64", "100", "60000"} {
		s := start(t, "server", "--device", "roce://"+there, "--clients", "1", "--size", "60000")
		s.listening(t)
		c := start(t, "client", "--device", "roce://"+here, "--count", "3", "--size", size, there+":7174")
		if out := c.rest(t); strings.Count(out, size+" bytes from "+there+":7174: ping ") != 3 {
			t.Errorf("%s bytes: %s", size, out)
		}
		if out := s.rest(t); out != "served 3 pings\n" {
			t.Errorf("%s bytes: %q, %s", size, out, s.stderr.String())
		}
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"client"}, 2, "server's address"},
		{[]string{"client", "localhost"}, 2, "no address"},
		{[]string{"perftest", "--test", "bw"}, 2, "no test"},
		{[]string{"server", "--device", "roce://127.0.0.41?mtu=4000"}, 1, "mtu"},
		{[]string{"server", "--device", "roce://nobody"}, 1, "nobody"},
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), append([]string{"bdrping"}, c.args...), strings.NewReader(""), &out, &errs)
		if code != c.code || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%v: exit %d, %q; want %d and %q", c.args, code, errs.String(), c.code, c.says)
		}
	}
}
