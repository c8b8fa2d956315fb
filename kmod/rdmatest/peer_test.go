// SPDX-License-Identifier: Apache-2.0

package rdmatest

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
)

// peer is kmod/test/peer.c in the monitors' machine: a line in, a line out.
type peer struct {
	in  io.Writer
	out *bufio.Reader
}

func newPeer(t *testing.T, vm *lab.VM) *peer {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	go func() {
		var errs bytes.Buffer
		_, err := vm.Stream(t.Context(), lab.Proc{Argv: []string{"/usr/bin/peer"}}, inR, outW, &errs)
		outW.CloseWithError(fmt.Errorf("the peer ended: %v %s", err, errs.String()))
	}()
	t.Cleanup(func() { inW.Close() })
	p := &peer{in: inW, out: bufio.NewReaderSize(outR, 4<<20)}
	if line := p.line(t); line != "ready" {
		t.Fatalf("the peer says %q", line)
	}
	return p
}

func (p *peer) line(t *testing.T) string {
	t.Helper()
	s, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(s)
}

func (p *peer) ask(t *testing.T, format string, args ...any) (verb, rest string) {
	t.Helper()
	if _, err := fmt.Fprintf(p.in, format+"\n", args...); err != nil {
		t.Fatal(err)
	}
	verb, rest, _ = strings.Cut(p.line(t), " ")
	return verb, rest
}

// rejected is a refusal with a reason, a fault of the carrier otherwise.
type rejected struct {
	denial uapi.Denial
	text   string
}

func (r *rejected) Error() string {
	if r.denial.Magic == uapi.DenialMagic {
		return "denied: " + uapi.DenialReasonName(r.denial.Reason)
	}
	return r.text
}

// conn is a connection with what was granted.
type conn struct {
	p     *peer
	n     string
	grant uapi.Grant
}

// dialRaw says these bytes to a target.
func (p *peer) dialRaw(t *testing.T, addr string, hello []byte) (*conn, error) {
	t.Helper()
	verb, rest := p.ask(t, "dial %s %d %x", addr, uapi.RDMAPort, hello)
	b, err := hex.DecodeString(rest)
	switch {
	case verb == "rejected" && err == nil:
		r := &rejected{text: "rejected by the carrier"}
		if len(b) >= uapi.DenialSize {
			err = r.denial.Decode(b)
		}
		if err != nil {
			t.Fatal(err)
		}
		return nil, r
	case verb == "error":
		return nil, &rejected{text: rest}
	case err != nil:
		t.Fatalf("the peer says %s %s", verb, rest)
	}
	c := &conn{p: p, n: verb}
	if err := c.grant.Decode(b); err != nil {
		t.Fatal(err)
	}
	return c, nil
}

// status is that of a work completion that is no success.
type status int

func (s status) Error() string { return fmt.Sprintf("completion with status %d", int(s)) }

const (
	statusFlush  = status(5)  // IBV_WC_WR_FLUSH_ERR
	statusAccess = status(10) // IBV_WC_REM_ACCESS_ERR
	statusRetry  = status(12) // IBV_WC_RETRY_EXC_ERR
)

func (c *conn) operate(t *testing.T, format string, args ...any) ([]byte, error) {
	t.Helper()
	verb, rest := c.p.ask(t, format, args...)
	switch verb {
	case "ok":
		b, err := hex.DecodeString(rest)
		if err != nil {
			t.Fatal(err)
		}
		return b, nil
	case "status":
		var s status
		fmt.Sscan(rest, (*int)(&s))
		return nil, s
	}
	t.Fatalf("the peer says %s %s", verb, rest)
	return nil, nil
}

func (c *conn) tryRead(t *testing.T, addr uint64, key uint32, n int) ([]byte, error) {
	t.Helper()
	return c.operate(t, "read %s %x %x %d", c.n, addr, key, n)
}

func (c *conn) tryWrite(t *testing.T, addr uint64, key uint32, b []byte) error {
	t.Helper()
	_, err := c.operate(t, "write %s %x %x %x", c.n, addr, key, b)
	return err
}

func (c *conn) read(t *testing.T, addr uint64, key uint32, n int) []byte {
	t.Helper()
	b, err := c.tryRead(t, addr, key, n)
	if err != nil {
		t.Fatalf("read %d bytes at %#x: %v", n, addr, err)
	}
	return b
}

func (c *conn) write(t *testing.T, addr uint64, key uint32, b []byte) {
	t.Helper()
	if err := c.tryWrite(t, addr, key, b); err != nil {
		t.Fatalf("write %d bytes at %#x: %v", len(b), addr, err)
	}
}

// slowest reads n times and returns how long the slowest took.
func (c *conn) slowest(t *testing.T, addr uint64, key uint32, size, n int) (time.Duration, error) {
	t.Helper()
	verb, rest := c.p.ask(t, "burst %s %x %x %d %d", c.n, addr, key, size, n)
	var v int
	fmt.Sscan(rest, &v)
	switch verb {
	case "slowest":
		return time.Duration(v) * time.Microsecond, nil
	case "status":
		return 0, status(v)
	}
	t.Fatalf("the peer says %s %s", verb, rest)
	return 0, nil
}

func (c *conn) close(t *testing.T) {
	t.Helper()
	if verb, rest := c.p.ask(t, "close %s", c.n); verb != "ok" {
		t.Fatalf("close: %s %s", verb, rest)
	}
}

// table reads the grant's own region table, by the root record in the target.
func (c *conn) table(t *testing.T) map[string]uapi.Region {
	t.Helper()
	var root uapi.Root
	var table uapi.Table
	if err := root.Decode(c.read(t, c.grant.RootAddr, c.grant.RootKey, uapi.RootSize)); err != nil {
		t.Fatal(err)
	}
	if err := table.Decode(c.read(t, root.TableAddr, root.TableKey, int(root.TableLen))); err != nil {
		t.Fatal(err)
	}
	if root.Magic != uapi.RootMagic || table.Magic != uapi.TableMagic || table.Generation != root.Generation || table.BootID != root.BootID {
		t.Fatalf("root %+v, table %#x of generation %d", root, table.Magic, table.Generation)
	}
	all := map[string]uapi.Region{}
	for _, r := range table.Regions[:min(int(table.Count), len(table.Regions))] {
		if r.Kind != 0 {
			all[uapi.CString(r.Name[:])] = r
		}
	}
	return all
}
