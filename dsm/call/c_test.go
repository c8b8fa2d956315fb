// SPDX-License-Identifier: Apache-2.0

package call_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/dsm/call"
	"lazystate/dsm/call/calltest"
	"lazystate/internal/cprogram"
	"lazystate/internal/memfd"
)

var library = cprogram.Library{Source: "dsm/c", Archive: "libdsm.a", Macros: "parmacs.m4"}

func TestMain(m *testing.M) {
	code := m.Run()
	cprogram.Clean()
	os.Exit(code)
}

// program is a C program as a node's process.
type program struct {
	*exec.Cmd
	out, err bytes.Buffer
}

func start(t *testing.T, c *calltest.Cluster, id int, source, input string, args ...string) *program {
	t.Helper()
	p := &program{Cmd: exec.Command(library.Program(t, "testdata/c/"+source, cprogram.Sanitized), args...)}
	p.Env = append(os.Environ(), "DSM_SOCKET="+c.Socket(id))
	p.Stdin, p.Stdout, p.Stderr = strings.NewReader(input), &p.out, &p.err
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// run runs a program on all nodes and returns what they write.
func run(t *testing.T, cfg calltest.Config, source, input string, args ...string) (*calltest.Cluster, []string) {
	t.Helper()
	c := calltest.Start(t, cfg)
	var all []*program
	for id := range max(cfg.Nodes, 1) {
		all = append(all, start(t, c, id, source, input, args...))
	}
	var out []string
	for id, p := range all {
		if err := p.Wait(); err != nil {
			t.Errorf("node %d: %v\n%s", id, err, p.err.String())
		}
		out = append(out, p.out.String())
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	return c, out
}

// The C library says to the daemon what the Go client says.
func TestCCalls(t *testing.T) {
	c, _ := run(t, calltest.Config{Locks: 3, Conds: 2, Answer: func(_ int, c call.Call) *calltest.Answer {
		switch c.Kind {
		case uapi.DsmWait:
			return &calltest.Answer{}
		case uapi.DsmBarrier:
			return &calltest.Answer{Flags: uapi.DsmReplayed}
		}
		return nil
	}}, "all.c", "")
	want := []call.Call{
		{Kind: uapi.DsmAcquire, Args: [3]uint64{2}},
		{Kind: uapi.DsmWait, Args: [3]uint64{1, 2}},
		{Kind: uapi.DsmSignal, Args: [3]uint64{0}},
		{Kind: uapi.DsmBroadcast, Args: [3]uint64{1}},
		{Kind: uapi.DsmRelease, Args: [3]uint64{2}},
		{Kind: uapi.DsmPlace, Args: [3]uint64{298, 2, 0}},
		{Kind: uapi.DsmPrefetch, Args: [3]uint64{299, 1, 1}},
		{Kind: uapi.DsmBarrier, Args: [3]uint64{9}},
	}
	heap := []call.Call{{Kind: uapi.DsmAcquire, Args: [3]uint64{3}}, {Kind: uapi.DsmRelease, Args: [3]uint64{3}}}
	want = append(want, slices.Concat(heap, heap, heap, []call.Call{{Kind: uapi.DsmEnd}})...)
	if !slices.Equal(c.Calls(0), want) {
		t.Errorf("%v", c.Calls(0))
	}
}

// Nodes in C share memory, whether their locks need calls or not.
func TestCNodes(t *testing.T) {
	for _, nodes := range []int{1, 2, 4} {
		c, out := run(t, calltest.Config{Nodes: nodes, Alone: nodes == 1}, "nodes.c", "")
		sum := 5050
		if nodes == 1 {
			sum = 0
			if len(c.WithoutCall(0)) != 800 { // all until the first barrier
				t.Errorf("%d operations without a call", len(c.WithoutCall(0)))
			}
		}
		if want := fmt.Sprintf("%d %d\n", 200*nodes, sum); out[0] != want {
			t.Errorf("%d nodes: %q, not %q", nodes, out[0], want)
		}
	}
}

// A program in C goes on behind its checkpoint; another's it refuses.
func TestCSteps(t *testing.T) {
	barriers := 0
	c, out := run(t, calltest.Config{Answer: func(_ int, c call.Call) *calltest.Answer {
		if c.Kind == uapi.DsmBarrier {
			if barriers++; barriers == 2 {
				return &calltest.Answer{Flags: uapi.DsmDue}
			}
		}
		return nil
	}}, "steps.c", "")
	if out[0] != "0\n1\n2\n3\nsum 6, 16\n" {
		t.Errorf("%q", out[0])
	}
	saved := c.Saved(0).Private
	if _, out := run(t, calltest.Config{From: calltest.Checkpoint{Private: saved}}, "steps.c", ""); out[0] != "2\n3\nsum 6, 16\n" {
		t.Errorf("%q", out[0])
	}
	for name, b := range map[string][]byte{"1": saved, "3": saved, "0": saved, "2 ": nil, "2  ": saved[:20], "2   ": append(bytes.Clone(saved[:8]), make([]byte, 60)...)} {
		if b == nil {
			b = []byte{}
		}
		c := calltest.Start(t, calltest.Config{From: calltest.Checkpoint{Private: b}})
		p := start(t, c, 0, "steps.c", "", strings.TrimSpace(name))
		if err := p.Wait(); err == nil || !strings.Contains(p.err.String(), "checkpoint") && !strings.Contains(p.err.String(), "another program wrote") {
			t.Errorf("%q, %d bytes: %v, %s%s", name, len(b), err, p.out.String(), p.err.String())
		}
	}
}

// What a program in C does wrong it is told.
func TestCWrong(t *testing.T) {
	c := calltest.Start(t, calltest.Config{Answer: func(_ int, c call.Call) *calltest.Answer {
		if c.Kind == uapi.DsmBarrier {
			return &calltest.Answer{Cause: uapi.DsmRefused, Why: "nodes 1 and 2 were lost at once"}
		}
		return nil
	}})
	p := start(t, c, 0, "wrong.c", "")
	if err := p.Wait(); err != nil {
		t.Errorf("%v: %s", err, p.err.String())
	}
	wrong := map[string]string{
		"before": "has joined no node", "slice before": "has joined no node", "socket": "no daemon listens at /nowhere", "twice": "already",
		"too many": "100 locks more than 2, of 64", "conditions": "-1 conditions", "full": "a slice of", "reserved": "did not reserve", "not held": "does not have it",
		"condition": "did not reserve", "wait": "does not have it", "place": "not shared", "node": "node 1 of 1", "end's": "the end's", "again": "has it already",
		"late": "before the first operation", "slice late": "before the first operation", "run late": "no operation before", "free": "not shared",
		"alloc": "allocate", "wild free": "never given out", "inner free": "no block in use begins", "thread": "another thread", "refused": "barrier 3: nodes 1 and 2 were lost at once",
	}
	for line := range strings.Lines(p.out.String()) {
		what, text, _ := strings.Cut(line, ": ")
		want, known := wrong[what]
		if delete(wrong, what); known != strings.HasPrefix(text, "-") || !strings.Contains(text, want) {
			t.Errorf("%s: %q", what, text)
		}
	}
	if len(wrong) > 0 {
		t.Errorf("not told: %v", wrong)
	}
	held := calltest.Start(t, calltest.Config{})
	p = start(t, held, 0, "wrong.c", "", "step")
	if err := p.Wait(); err != nil || !strings.Contains(p.out.String(), "is held at the end of step 0") {
		t.Error(err, p.out.String())
	}
}

// A program that names no private state is saved whole, behind any operation, and
// goes on there in another process.
func TestCWhole(t *testing.T) {
	for _, at := range []int{1, 2, 7, 40, 300, 700} {
		calls := 0
		cfg := calltest.Config{Answer: func(_ int, c call.Call) *calltest.Answer {
			if calls++; calls != at || c.Kind == uapi.DsmEnd {
				return nil
			}
			return &calltest.Answer{Flags: uapi.DsmDue, Served: true}
		}}
		c, out := runPlain(t, cfg, "whole.c")
		want := strings.SplitAfter(out, "\n")
		saved := c.Saved(0)
		if saved.Private == nil {
			t.Fatalf("no checkpoint at call %d of %d", at, len(c.Calls(0)))
		}
		again, rest := runPlain(t, calltest.Config{From: saved}, "whole.c")
		if at > 1 && rest == out || !strings.HasSuffix(out, rest) || !strings.Contains(rest, want[len(want)-2]) {
			t.Errorf("at call %d: %q, and then %q", at, out, rest)
		}
		if first, second := len(c.Calls(0)), len(again.Calls(0)); at+1+second != first { // the checkpoint is a call
			t.Errorf("%d calls, %d of them after call %d", first, second, at)
		}
	}
}

// runPlain runs a program that is not under the sanitizers' eyes: their memory is
// too large to be saved.
func runPlain(t *testing.T, cfg calltest.Config, source string) (*calltest.Cluster, string) {
	t.Helper()
	c := calltest.Start(t, cfg)
	cmd := exec.Command(library.Program(t, "testdata/c/"+source, cprogram.Plain), "argument")
	cmd.Env = append(os.Environ(), "DSM_SOCKET="+c.Socket(0))
	cmd.Dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(cmd.Dir, "input"), []byte("1 2 3 4 5 6 7 8 9 10"), 0o600); err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err = errors.Join(err, c.Wait()); err != nil {
		t.Fatalf("%v\n%s%s", err, out, errs.String())
	}
	return c, string(out)
}

// What is no image of this program is refused, with a reason.
func TestCWholeRefused(t *testing.T) {
	due := func(_ int, c call.Call) *calltest.Answer { return &calltest.Answer{Flags: uapi.DsmDue, Served: true} }
	c, _ := runPlain(t, calltest.Config{Answer: due}, "whole.c")
	private := c.Saved(0).Private
	for _, r := range []struct {
		want   string
		change func(b []byte) []byte
	}{
		{"no image", func(b []byte) []byte { return b[:100] }},
		{"no image", func(b []byte) []byte { b[0]++; return b }},
		{"another build", func(b []byte) []byte { b[8]++; return b }},
		{"other addresses", func(b []byte) []byte { b[16]++; return b }},
		{"on the kernel", func(b []byte) []byte { b[40]++; return b }},
		{"cannot be read", func(b []byte) []byte { return b[:len(b)-1] }},
	} {
		c := calltest.Start(t, calltest.Config{From: calltest.Checkpoint{Private: r.change(bytes.Clone(private))}})
		cmd := exec.Command(library.Program(t, "testdata/c/whole.c", cprogram.Plain), "argument")
		cmd.Env = append(os.Environ(), "DSM_SOCKET="+c.Socket(0))
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), r.want) {
			t.Errorf("%s: %v, %s", r.want, err, out)
		}
	}
}

// The C library takes no nonsense from whoever listens there.
func TestCHostileWelcome(t *testing.T) {
	bin := library.Program(t, "testdata/c/nodes.c", cprogram.Sanitized)
	ring, err := memfd.Sealed("ring", 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ring)
	good := uapi.DsmWelcome{Magic: uapi.DsmMagic, Base: 0x310000000000, Bytes: 4096, PageSize: 4096, RingBytes: 4096, Nodes: 1, Locks: 5, Conds: 1}
	for name, c := range map[string]struct {
		change func(*uapi.DsmWelcome)
		fds    int
		want   string
	}{
		"magic":             {func(w *uapi.DsmWelcome) { w.Magic++ }, 3, "another version"},
		"error":             {func(w *uapi.DsmWelcome) { w.Error = 16; uapi.PutCString(w.Text[:], "node 0 has its program") }, 3, "has its program"},
		"descriptors":       {func(w *uapi.DsmWelcome) {}, 2, "2 descriptors"},
		"device":            {func(w *uapi.DsmWelcome) { w.Flags = uapi.DsmDevice }, 3, "3 descriptors"},
		"node":              {func(w *uapi.DsmWelcome) { w.Node = 1 }, 3, "node 1 of 1"},
		"no region":         {func(w *uapi.DsmWelcome) { w.Bytes = 0 }, 3, "a region of 0"},
		"huge region":       {func(w *uapi.DsmWelcome) { w.Bytes = 1 << 60 }, 3, "a region of"},
		"region in the way": {func(w *uapi.DsmWelcome) { w.Base = 1 << 47 }, 3, "a region of"},
		"locks":             {func(w *uapi.DsmWelcome) { w.Locks = 1 << 31 }, 3, "locks"},
		"no ring":           {func(w *uapi.DsmWelcome) { w.RingBytes = 0 }, 3, "map the ring"},
		"ring of nonsense":  {func(w *uapi.DsmWelcome) {}, 3, "a ring of 4096 bytes"},
	} {
		w := good
		c.change(&w)
		path := hostile(t, w.Encode(), []int{ring, ring, ring}[:c.fds])
		cmd := exec.Command(bin)
		cmd.Env = append(os.Environ(), "DSM_SOCKET="+path)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v, %s", name, err, out)
		}
	}
}

// hostile is a daemon that welcomes with this, and goes.
func hostile(t *testing.T, welcome []byte, fds []int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.AcceptUnix()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, uapi.DsmHelloSize))
		_, _, _ = conn.WriteMsgUnix(welcome, unix.UnixRights(fds...), nil)
		_, _ = conn.Read(make([]byte, 1)) // until it is gone
	}()
	return path
}

// A program in the manner of SPLASH-2 has the same result on any number of nodes.
func TestParmacs(t *testing.T) {
	const parts = 30
	count, sum, lists, last := [10]int{}, 0, 0, 0
	for n := 2; n < parts*100; n++ {
		prime := true
		for d := 2; d*d <= n; d++ {
			prime = prime && n%d > 0
		}
		if prime {
			if count[n%10]++; last > 0 && n/100 != last/100 {
				sum, lists = sum+last, lists+1
			}
			last = n
		}
	}
	counts := strings.Trim(fmt.Sprint(count), "[]")
	for _, nodes := range []int{1, 2, 3} {
		_, out := run(t, calltest.Config{Nodes: nodes}, "mill.c.in", fmt.Sprintf("%d %d", parts, nodes))
		handed := 40
		if nodes == 1 {
			handed = 0
		}
		all := strings.Join(out, "")
		for _, want := range []string{"mill\n", fmt.Sprintf("%d parts\n", parts), counts + " \n", fmt.Sprintf("%d %d 1\n", lists+1, sum+last), fmt.Sprintf("handed %d\n", handed)} {
			if strings.Count(all, want) != 1 {
				t.Errorf("%d nodes: %q is not once in %q", nodes, want, out)
			}
		}
	}
	c := calltest.Start(t, calltest.Config{})
	p := start(t, c, 0, "mill.c.in", "5 2")
	if err := p.Wait(); err == nil || !strings.Contains(p.err.String(), "has 2 processes, the DSM 1 nodes") {
		t.Error(err, p.err.String())
	}
}
