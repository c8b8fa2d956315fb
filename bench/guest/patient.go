// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/repair"
	"lazystate/repair/drill"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

// Arsenal is Programs for benches that repair: pkgs, bdagent and the rogue
// programs of the drills as /bin/rogue.
func Arsenal(ctx context.Context, pkgs ...string) (files map[string]string, done func(), err error) {
	files, done, err = Programs(ctx, append(pkgs, "tools/bdagent")...)
	if err != nil {
		return nil, nil, err
	}
	rogue, err := drill.Build(ctx, filepath.Join(lab.CacheDir(), "rogue"))
	if err != nil {
		done()
		return nil, nil, err
	}
	files["/bin/rogue"] = rogue
	return files, done, nil
}

// monitorSlot is the slot a bench acts in.
const monitorSlot = 0

// GiveKey gives this monitor a new key in the target, by the bdagent of Arsenal.
func (g *Guest) GiveKey(ctx context.Context) error {
	rand.Read(g.Key[:])
	return armed.GiveKeys(ctx, g.VM, armed.Keys{monitorSlot: g.Key})
}

// Patient is the target as a healer takes it.
func (g *Guest) Patient() *repair.Patient {
	return &repair.Patient{Name: g.VM.Name(), Target: g.Target, Slot: monitorSlot, Key: g.Key, Audit: repair.NewAudit(io.Discard)}
}

// Writing opens the target of a Reader for writing as long as do runs.
func (g *Guest) Writing(ctx context.Context, do func(*repair.Patient) error) (err error) {
	mem, target, err := armed.Open(ctx, g.VM, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mem.Close()) }()
	p := g.Patient()
	p.Target = target
	return do(p)
}

// Lock is a request for the remote OS lock as a repair makes it: NMI for CPUs
// that do not answer, and a little time to leave the kernel.
func (g *Guest) Lock() backdoor.LockOptions {
	return backdoor.LockOptions{
		Slot: monitorSlot, Key: g.Key, Lease: 3 * time.Second, Drain: 100 * time.Millisecond, Flags: uapi.LockNMI | uapi.LockDrain,
	}
}

// Release starts a program of the drills as its user.
func (g *Guest) Release(ctx context.Context, p drill.Program) (pid int, err error) {
	pid, err = g.VM.Start(ctx, lab.Proc{Argv: append([]string{"/bin/rogue"}, p.Args...), UID: p.UID})
	if err != nil {
		return 0, fmt.Errorf("release %v: %w", p.Args, err)
	}
	return pid, nil
}

// CountOf returns how many tasks a user has, by the carrier, not by the guest.
func (g *Guest) CountOf(ctx context.Context, uid uint32) (tasks int, err error) {
	list, err := g.Target.Tasks(ctx, backdoor.WalkOptions{})
	if err != nil {
		return 0, err
	}
	for i := range list.Tasks {
		if list.Tasks[i].UID == uid && list.Tasks[i].MM != 0 {
			tasks += list.Tasks[i].Live
		}
	}
	return tasks, nil
}

// WaitCount waits until a user has at least (or, falling, at most) n tasks.
func (g *Guest) WaitCount(ctx context.Context, uid uint32, n int, falling bool, bound time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	have := 0
	for {
		var err error
		if have, err = g.CountOf(ctx, uid); err == nil && (falling && have <= n || !falling && have >= n) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("user %d has %d tasks, not %d: %w", uid, have, n, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
