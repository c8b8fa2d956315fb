// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/inic"
	"lazystate/backdoor/uapi"
	"lazystate/sensorbox"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m, 2)) }

var kernels = []string{"6.1", "6.12"}

// onEach runs a test on each kernel of the lab, at the same time: most of a
// test is waiting for its own machine. Nothing may follow it in a test.
func onEach(t *testing.T, f func(t *testing.T, kernel string)) {
	for _, k := range kernels {
		t.Run(k, func(t *testing.T) {
			t.Parallel()
			f(t, k)
		})
	}
}

// onOne is onEach in make soak. In make test a test whose subject is the same code
// on both kernels, or the lab's, runs on one of them.
func onOne(t *testing.T, kernel string, f func(t *testing.T, kernel string)) {
	if lab.Soak() {
		onEach(t, f)
		return
	}
	t.Run(kernel, func(t *testing.T) { f(t, kernel) })
}

// isFor reports whether a part of a test of both kernels is to run on this one:
// the parts take turns in make test, and all run on each in make soak.
func isFor(kernel string, part int) bool {
	return lab.Soak() || kernels[part%len(kernels)] == kernel
}

// loaded is a machine with backdoor.ko, seen from outside.
type loaded struct {
	vm     *lab.VM
	mem    *inic.Memory
	target *backdoor.Target
}

func machine(t *testing.T, kernel string) *lab.VM {
	t.Helper()
	return lab.Shared(t, lab.Config{Kernel: kernel, SwapMiB: 256})
}

// ownMachine boots one for a single test, which calls t.Parallel: such tests
// run when those that share a machine are through, and shared ones make room.
func ownMachine(t *testing.T, c lab.Config) *lab.VM {
	t.Helper()
	return lab.New(t, c)
}

// load inserts backdoor.ko for one test and opens the target.
func load(t *testing.T, kernel string, params ...string) *loaded {
	t.Helper()
	k := &loaded{vm: machine(t, kernel)}
	if err := k.vm.Insmod(t.Context(), lab.Module(t, k.vm, "backdoor"), params...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background() // the test's own has ended
		if err := k.vm.Rmmod(ctx, "backdoor"); err != nil {
			t.Error(err)
		}
	})
	k.open(t)
	k.eventually(t, "the first census", func(v *view) bool { return v.named(t, "NPROCS").Value > 0 }) // what is sampled is 0 before
	return k
}

// step is a part of a test that leaves the modules as it found them: the parts
// share one load.
type step struct {
	name string
	run  func(*loaded, *testing.T)
}

func (k *loaded) each(t *testing.T, steps []step) {
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) { s.run(k, t) })
	}
}

func (k *loaded) open(t *testing.T) {
	t.Helper()
	var err error
	if k.mem, k.target, err = armed.Open(t.Context(), k.vm, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.mem.Close() })
}

// region returns a region and its bytes as the I-NIC reads them.
func (k *loaded) region(t *testing.T, kind uint32) (backdoor.Region, []byte) {
	t.Helper()
	r, err := k.target.Region(kind)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, r.Len)
	if err := k.target.Do(t.Context(), r.Read(0, b)); err != nil {
		t.Fatal(err)
	}
	return r, b
}

// view is a decoded copy of the box.
type view struct{ sensorbox.View }

func (k *loaded) fetch(t *testing.T) *view {
	t.Helper()
	v := &view{}
	if err := k.decode(t, v); err != nil {
		t.Fatal(err)
	}
	return v
}

func (k *loaded) decode(t *testing.T, v *view) error {
	t.Helper()
	_, box := k.region(t, uapi.KindSensorbox)
	_, users := k.region(t, uapi.KindUserSensors)
	return v.Decode(box, users)
}

func (v *view) find(name string) *sensorbox.Sensor {
	i := slices.IndexFunc(v.Sensors, func(s sensorbox.Sensor) bool { return s.Name() == name })
	if i < 0 {
		return nil
	}
	return &v.Sensors[i]
}

func (v *view) named(t *testing.T, name string) *sensorbox.Sensor {
	t.Helper()
	s := v.find(name)
	if s == nil {
		t.Fatalf("the box has no sensor %s", name)
	}
	return s
}

// eventually fetches the box until it is as wanted.
func (k *loaded) eventually(t *testing.T, what string, ok func(*view) bool) *view {
	t.Helper()
	return k.within(t, time.Minute, what, ok)
}

// within is eventually for what a busy host makes slow.
func (k *loaded) within(t *testing.T, bound time.Duration, what string, ok func(*view) bool) *view {
	t.Helper()
	for end := time.Now().Add(bound); ; time.Sleep(20 * time.Millisecond) {
		v := k.fetch(t)
		if ok(v) {
			return v
		}
		if time.Now().After(end) {
			t.Fatalf("%v and not: %s", bound, what)
		}
	}
}

// guestProgram compiles a program of kmod/test and puts it into the guest.
func guestProgram(t *testing.T, vm *lab.VM, name string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), name)
	out, err := exec.CommandContext(t.Context(), "gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-static",
		"-o", bin, filepath.Join("..", "test", name+".c")).CombinedOutput()
	if err != nil {
		t.Fatalf("compile %s: %v\n%s", name, err, out)
	}
	guest := "/tmp/" + name
	if err := vm.Put(t.Context(), bin, guest); err != nil {
		t.Fatal(err)
	}
	return guest
}

// goProgram compiles a Go program and puts it into the guest.
func goProgram(t *testing.T, vm *lab.VM, pkg string) string {
	t.Helper()
	guest := "/tmp/" + filepath.Base(pkg)
	bin, err := lab.Program(t.Context(), filepath.Base(pkg), pkg)
	if err == nil {
		err = vm.Put(t.Context(), bin, guest)
	}
	if err != nil {
		t.Fatal(err)
	}
	return guest
}
