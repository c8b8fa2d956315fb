// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/tools/lab/kernel"
)

// VM is a machine of the lab, owned by this process or attached to.
type VM struct {
	dir    stateDir
	record record
	ch     *channel
	owner  *owner // nil when attached
}

// owner is what only the process that booted the VM has.
type owner struct {
	locks locks
	qemu  *process
	proxy *proxy
	down  sync.Once
	err   error
}

// Up boots a VM and returns when its guest answers. The VM lives until Down
// or until this process ends, however it ends.
func Up(ctx context.Context, name string, c Config) (*VM, error) {
	if err := checkName("VM", name); err != nil {
		return nil, err
	}
	c = c.withDefaults(name)
	if err := errors.Join(c.check(), Usable()); err != nil {
		return nil, err
	}
	for again := 0; ; again++ {
		vm, err := upOnce(ctx, name, c)
		if !emulators(err) || again == mostAgain {
			return vm, err
		}
		fmt.Fprintf(os.Stderr, "lab: %v\nlab: booting %s again\n", err, name)
	}
}

// mostAgain is how often one boot is begun again: under TCG on a loaded host
// QEMU 10.0.2 dies of an assertion of its own (iotlb_to_section) in about one of
// a hundred boots of two vCPUs, and loses a timer interrupt in one of a thousand.
// Of some thousands one made Debian's 6.12 panic in its tick: by its registers
// one CPU had the other's GS.
const mostAgain = 2

// emulators reports whether a boot has failed of a mistake of the emulator.
func emulators(err error) bool {
	return errors.Is(err, ErrAborted) || errors.Is(err, ErrLostTimer) || errors.Is(err, ErrOops)
}

func upOnce(ctx context.Context, name string, c Config) (*VM, error) {
	r := record{Name: name, OwnerPID: os.Getpid(), Owner: filepath.Base(os.Args[0]), Config: c}
	if err := enter(ctx); err != nil {
		return nil, err
	}
	d, l, err := claim(r)
	if err != nil {
		leave()
		return nil, err
	}
	vm := &VM{dir: d, record: r, owner: &owner{locks: l}}
	if err := vm.boot(ctx); err != nil {
		err = fmt.Errorf("boot %s: %w%s", name, err, vm.lastWords())
		return nil, errors.Join(err, vm.Down())
	}
	owned.Lock()
	owned.vms = append(owned.vms, vm)
	owned.Unlock()
	return vm, nil
}

func (vm *VM) boot(ctx context.Context) error {
	c := vm.record.Config
	k, err := kernel.Get(ctx, filepath.Join(CacheDir(), "kernels"), c.Kernel)
	if err != nil {
		return err
	}
	if vm.record.Accel, err = Accel(ctx); err != nil {
		return err
	}
	if c.ICount {
		vm.record.Accel = tcgCounted
	}
	vm.record.Release, vm.record.Version = k.Release, k.Version
	if err := vm.prepare(ctx, k); err != nil {
		return err
	}
	net := ""
	if len(c.NICs) > 0 {
		net = c.Net
	}
	vm.owner.qemu, err = startQEMU(net, vm.dir.file("qemu.log"), qemuArgs(vm.dir, c, k, vm.record.Accel))
	if err != nil {
		return err
	}
	vm.record.QEMUPID = vm.owner.qemu.Pid
	if err := vm.dir.write(vm.record); err != nil {
		return err
	}
	return vm.connect(ctx, c.BootTimeout)
}

// prepare makes everything QEMU opens.
func (vm *VM) prepare(ctx context.Context, k *kernel.Kernel) error {
	c := vm.record.Config
	if err := buildInitrd(ctx, vm.dir.file("initrd.cpio"), vm.record.Name, c, k); err != nil {
		return err
	}
	if c.SwapMiB > 0 {
		if err := makeSwap(vm.dir.file("swap"), c.SwapMiB); err != nil {
			return err
		}
	}
	for file, mib := range map[string]int{vm.dir.ram(): c.MemMiB, vm.dir.bar(): c.BARMiB} {
		if err := makeBacking(file, mib); err != nil {
			return err
		}
	}
	if len(c.NICs) == 0 {
		return nil
	}
	return locked(func() error {
		return errors.Join(makeNetns(c.Net), makeTaps(vm.record.Name, c))
	})
}

// makeBacking makes the file itself, new and 0600; QEMU would take an old one.
func makeBacking(path string, mib int) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := room(path, mib); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Truncate(int64(mib) << 20)
}

// room refuses a file that its file system has no place for. It is sparse, for a
// guest rarely fills its memory: what others fill meanwhile ends QEMU by SIGBUS
// all the same, and process.ended says so.
func room(path string, mib int) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &fs); err != nil {
		return fmt.Errorf("room for %s: %w", path, err)
	}
	free := fs.Bavail * uint64(fs.Bsize) >> 20
	if fs.Blocks > 0 && free < uint64(mib) { // a tmpfs without a size has no blocks
		return fmt.Errorf("no room for %s: it takes %d MiB, %d are free: %w", path, mib, free, unix.ENOSPC)
	}
	return nil
}

// connect waits for the guest's Hello and opens the VM to other processes.
func (vm *VM) connect(ctx context.Context, bound time.Duration) error {
	ctx, stop := context.WithTimeoutCause(ctx, bound, fmt.Errorf("no answer in %v", bound))
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go vm.watchBoot(ctx, cancel)
	conn, err := dialRetry(ctx, vm.dir.file("guest.sock"))
	if err == nil {
		vm.ch = newChannel(conn)
		err = vm.countResets(ctx)
	}
	if err == nil {
		err = vm.waitHello(ctx, vm.ch.firstHello())
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	vm.owner.proxy, err = listenProxy(vm.dir.file("lab.sock"), vm.ch, func() { go vm.Down() })
	return err
}

// watchBoot cancels the wait for a guest that will never say Hello.
func (vm *VM) watchBoot(ctx context.Context, cancel context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-vm.owner.qemu.exited:
			cancel(vm.owner.qemu.ended())
			return
		case <-time.After(200 * time.Millisecond):
		}
		if b, err := os.ReadFile(vm.Serial()); err == nil {
			if err := hopeless(b); err != nil {
				cancel(err)
				return
			}
		}
	}
}

// hopeless is why a boot with such a serial log will not come to its end; nil:
// it may. A kernel with one-shot timers that misses one interrupt sets no other,
// and says so after RCU's 21 s. One that is not tainted has no module but its own.
func hopeless(serial []byte) error {
	switch {
	case bytes.Contains(serial, []byte("Kernel panic - not syncing: Fatal exception")) && bytes.Contains(serial, []byte(" Not tainted ")):
		return ErrOops
	case bytes.Contains(serial, []byte("Kernel panic - not syncing")):
		return errors.New("the guest's kernel panicked")
	case bytes.Contains(serial, []byte("rcu_preempt kthread timer wakeup didn't happen")):
		return ErrLostTimer
	}
	return nil
}

func (vm *VM) waitHello(ctx context.Context, hello <-chan struct{}) error {
	select {
	case <-hello:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if h, _ := vm.ch.lastHello(); h.Err != "" {
		return fmt.Errorf("guest set-up: %s", h.Err)
	}
	return nil
}
