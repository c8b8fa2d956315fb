// SPDX-License-Identifier: Apache-2.0

package inic

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
)

// machine is a synthetic target that lives in two files, as a guest of QEMU does.
type machine struct {
	*bdtest.Target
	ram, bar string
}

func newMachine(t testing.TB, opts ...bdtest.Option) *machine {
	t.Helper()
	dir := t.TempDir()
	m := &machine{ram: filepath.Join(dir, "ram"), bar: filepath.Join(dir, "bar")}
	m.Target = bdtest.New(append(opts, bdtest.WithBacking(bdtest.MapFile(t, m.ram, 16<<20), bdtest.MapFile(t, m.bar, 1<<20)))...)
	return m
}

func (m *machine) open(t testing.TB, o Options) *Memory {
	t.Helper()
	o.RAMPath, o.BARPath = m.ram, m.bar
	mem, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mem.Close() })
	return mem
}

// running lets the machine's CPUs run after each batch. The mutex stands for
// the cache coherence of a real machine, which the race detector cannot see.
type running struct {
	*Memory
	mu sync.Mutex
	m  *machine
}

func (r *running) Post(ctx context.Context, b *backdoor.Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Memory.Post(ctx, b)
	r.m.Step()
}

func TestConformance(t *testing.T) {
	bdtest.Conformance(t, func(t *testing.T, opts ...bdtest.Option) (backdoor.Memory, *bdtest.Target) {
		m := newMachine(t, opts...)
		return &running{Memory: m.open(t, Options{Writable: true}), m: m}, m.Target
	})
}

// DECISION 21: the holder of the lock on the BAR file writes, others read.
func TestOneWriter(t *testing.T) {
	m := newMachine(t)
	writer := m.open(t, Options{Writable: true})
	if _, err := Open(Options{RAMPath: m.ram, BARPath: m.bar, Writable: true}); !errors.Is(err, backdoor.ErrReadOnly) {
		t.Fatalf("second writer: %v", err)
	}
	reader := m.open(t, Options{})
	if reader.Caps().Writable || !writer.Caps().Writable {
		t.Error("capabilities are wrong")
	}
	bt, err := backdoor.Open(t.Context(), reader)
	if err != nil {
		t.Fatal(err)
	}
	req, err := bt.Region(uapi.KindLockReq)
	if err != nil {
		t.Fatal(err)
	}
	if err := bt.Do(t.Context(), req.Write(0, []byte{1})); !errors.Is(err, backdoor.ErrReadOnly) {
		t.Errorf("write of a reader: %v", err)
	}
	writer.Close()
	m.open(t, Options{Writable: true})
}

// A file that is cut while it is mapped answers with SIGBUS: an error, not the
// end of the monitor.
func TestTruncatedFile(t *testing.T) {
	m := newMachine(t)
	mem := m.open(t, Options{})
	bt, err := backdoor.Open(t.Context(), mem)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(m.ram, 4096); err != nil {
		t.Fatal(err)
	}
	_, err = bt.Tasks(t.Context(), backdoor.WalkOptions{})
	var fault *FaultError
	if !errors.As(err, &fault) {
		t.Errorf("got %v", err)
	}
	for _, n := range []int{4, 8, 100} {
		if err := backdoor.Do(t.Context(), mem, bt.Regions()[1].Read(0, make([]byte, n))); !errors.As(err, &fault) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestLiveness(t *testing.T) {
	m := newMachine(t)
	cat := exec.Command("cat")
	stdin, err := cat.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	var sick error
	mem := m.open(t, Options{PID: cat.Process.Pid, Alive: func() error { return sick }})
	if _, err := mem.Root(t.Context()); err != nil {
		t.Fatal(err)
	}
	sick = errors.New("QMP does not answer")
	if _, err := mem.Root(t.Context()); !errors.Is(err, backdoor.ErrGone) || !errors.Is(err, sick) {
		t.Errorf("Alive says no: %v", err)
	}
	sick = nil
	stdin.Close()
	if err := cat.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := mem.Root(t.Context()); !errors.Is(err, backdoor.ErrGone) {
		t.Errorf("its process has ended: %v", err)
	}
	other := m.open(t, Options{})
	if err := os.Remove(m.bar); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Root(t.Context()); !errors.Is(err, backdoor.ErrGone) {
		t.Errorf("its file is gone: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	m := newMachine(t)
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"no file":     {RAMPath: m.ram + "x", BARPath: m.bar},
		"short file":  {RAMPath: short, BARPath: m.bar},
		"a directory": {RAMPath: t.TempDir(), BARPath: m.bar},
		"no process":  {RAMPath: m.ram, BARPath: m.bar, PID: 1 << 29},
	} {
		if mem, err := Open(o); err == nil {
			mem.Close()
			t.Errorf("%s was opened", name)
		}
	}
}

// A region table that names addresses outside RAM cannot make the carrier read
// there: every one of them is clamped to the file.
func TestHostileRegions(t *testing.T) {
	m := newMachine(t)
	mem := m.open(t, Options{Writable: true})
	for name, r := range map[string]backdoor.Region{
		"behind RAM":   {GPA: 16 << 20, Len: 4096},
		"in the hole":  {GPA: 3 << 30, Len: 4096},
		"far":          {GPA: 1<<64 - 4096, Len: 4096},
		"over the end": {GPA: 16<<20 - 4, Len: 4096},
		"MMIO":         {GPA: 4096, Len: 4096, MMIO: true},
		"behind BAR":   {Len: 4096, MMIO: true, BAR: true},
	} {
		r.Name, r.Addr, r.Key, r.Perm = name, 0xffff888000000000, 1, 7
		if err := mem.Bind([]backdoor.Region{r}); err != nil {
			t.Fatal(err)
		}
		var refused *backdoor.AccessError
		for _, op := range []backdoor.Op{r.Read(0, make([]byte, 8)), r.Write(0, make([]byte, 8)), {Kind: backdoor.OpFetchAdd, Addr: r.Addr, Key: 1}} {
			if err := backdoor.Do(t.Context(), mem, op); !errors.As(err, &refused) {
				t.Errorf("%s, %s: %v", name, op.Kind, err)
			}
		}
	}
}

// A reset leaves the BAR as it was. Neither the carrier that resets nor one
// that hears of it believes the old root again; the next boot's they do.
func TestStaleRootAfterReset(t *testing.T) {
	m := newMachine(t)
	resets := uint64(7)
	reader := m.open(t, Options{Resets: func() uint64 { return resets }})
	writer := m.open(t, Options{Writable: true, Reset: func(context.Context) error { return nil }})
	old, err := backdoor.Open(t.Context(), reader)
	if err != nil {
		t.Fatal(err)
	}
	resets++ // the machine starts again; its module is not loaded yet
	if err := old.Check(t.Context()); !errors.Is(err, backdoor.ErrReplaced) {
		t.Errorf("reader, root as before: %v", err)
	}
	if err := old.Check(t.Context()); !errors.Is(err, backdoor.ErrReplaced) {
		t.Errorf("reader, asked again: %v", err)
	}
	m.Reboot()
	if err := old.Check(t.Context()); !errors.Is(err, backdoor.ErrReplaced) {
		t.Errorf("old target, new root: %v", err)
	}
	if _, err := backdoor.Open(t.Context(), reader); err != nil {
		t.Errorf("new boot: %v", err)
	}
	own, err := backdoor.Open(t.Context(), writer)
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := own.Check(t.Context()); !errors.Is(err, backdoor.ErrReplaced) {
		t.Errorf("writer after its reset: %v", err)
	}
	if _, err := backdoor.Open(t.Context(), m.open(t, Options{})); !errors.Is(err, backdoor.ErrWithdrawn) {
		t.Errorf("a newcomer after the reset: %v", err)
	}
	if err := reader.Reset(t.Context()); err == nil {
		t.Error("a reader has reset the machine")
	}
}

// Device memory that the carrier reaches: what a guest leaves in the BAR.
func TestRegisterBAR(t *testing.T) {
	m := newMachine(t)
	mem := m.open(t, Options{})
	r := backdoor.Region{Name: "bar", Addr: 4096, Len: 4096, Key: 9, Perm: backdoor.PermRead, MMIO: true, BAR: true}
	if err := mem.Bind([]backdoor.Region{r}); err != nil {
		t.Fatal(err)
	}
	want := []byte("scratch!")
	f, err := os.OpenFile(m.bar, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(want, 4096+16); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if err := backdoor.Do(t.Context(), mem, r.Read(16, got)); err != nil || string(got) != string(want) {
		t.Errorf("read %q: %v", got, err)
	}
	var refused *backdoor.AccessError
	if err := backdoor.Do(t.Context(), mem, r.Write(16, want)); !errors.As(err, &refused) {
		t.Errorf("write to a read-only device region: %v", err)
	}
}
