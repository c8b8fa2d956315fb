// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/bench/guest"
	"lazystate/tools/lab"
	"lazystate/tools/lab/link"
)

// strike breaks the target. errNotHere: this kernel cannot be broken so.
type strike func(ctx context.Context, t *trialRun) error

var errNotHere = errors.New("not in this kernel")

const (
	trigger    = "/sys/module/bd_inject/parameters/trigger"
	pullWithin = 2 * time.Second // where the fault strikes the writer, the write does not return
)

// pull writes to a file of the target and does not wait for what it breaks.
func (t *trialRun) pull(ctx context.Context, file, text string) error {
	bounded, cancel := context.WithTimeout(ctx, pullWithin)
	defer cancel()
	err := t.target.VM.WriteFile(bounded, file, []byte(text+"\n"), 0o200)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

func inject(what string) strike {
	return func(ctx context.Context, t *trialRun) error {
		err := t.pull(ctx, trigger, what)
		if errors.Is(err, syscall.EOPNOTSUPP) {
			return errNotHere
		}
		return err
	}
}

func sysrq(ctx context.Context, t *trialRun) error { return t.pull(ctx, "/proc/sysrq-trigger", "c") }

func stopped(ctx context.Context, t *trialRun) error { return t.target.VM.Stop(ctx) }

func cut(_ context.Context, t *trialRun) error { return t.target.Link.Set(link.Faults{Cut: true}) }

func loss(_ context.Context, t *trialRun) error { return t.target.Link.Set(link.Faults{Loss: 0.2}) }

// loseIRQs loses those of each of the NIC's queues.
func loseIRQs(ctx context.Context, t *trialRun) error {
	names, err := t.nicIRQs(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := t.pull(ctx, trigger, "lose_irq "+name+" 0"); err != nil {
			return err
		}
	}
	return nil
}

// crashIRQ has the NIC's driver crash at the next interrupt of the queue that receives:
// monitors by rxe see to it that there is one.
func crashIRQ(ctx context.Context, t *trialRun) error {
	names, err := t.nicIRQs(ctx)
	if err != nil {
		return err
	}
	name, err := receiving(names)
	if err != nil {
		return err
	}
	return t.pull(ctx, trigger, "crash_irq "+name)
}

// receiving is the first of the NIC's interrupts that says that packets came.
func receiving(names []string) (string, error) {
	i := slices.IndexFunc(names, func(s string) bool { return strings.Contains(s, "-input.") })
	if i < 0 {
		return "", fmt.Errorf("none of the NIC's interrupts %q is for receiving", names)
	}
	return names[i], nil
}

// nicIRQs are the names of the interrupts of the NIC's queues.
func (t *trialRun) nicIRQs(ctx context.Context) ([]string, error) {
	b, err := t.target.VM.ReadFile(ctx, "/proc/interrupts")
	if err != nil {
		return nil, err
	}
	names := queueIRQs(string(b))
	if len(names) == 0 {
		return nil, errors.New("the NIC's interrupts were not found")
	}
	return names, nil
}

// queueIRQs returns the names of a virtio NIC's queues in /proc/interrupts: it is
// the one device of the lab whose vectors are called input and output by number.
func queueIRQs(interrupts string) []string {
	var names []string
	for line := range strings.Lines(interrupts) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if name := f[len(f)-1]; strings.Contains(name, "-input.") || strings.Contains(name, "-output.") {
			names = append(names, name)
		}
	}
	return names
}

// freeze takes the OS lock over bdnic as another monitor, and keeps it.
func freeze(ctx context.Context, t *trialRun) error {
	mem, err := t.target.OpenAs(ctx, guest.BDNIC, guest.Other, true)
	if err != nil {
		return err
	}
	t.ends = append(t.ends, mem.Close)
	tgt, err := backdoor.Open(ctx, mem)
	if err != nil {
		return err
	}
	held, err := tgt.Lock(ctx, backdoor.LockOptions{Slot: guest.Other, Key: t.target.Keys[guest.Other], Lease: 10 * time.Second, Flags: uapi.LockNMI})
	if err != nil {
		return fmt.Errorf("freeze: %w", err)
	}
	t.ends = append(t.ends, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), lockWithin)
		defer cancel()
		return held.Unlock(ctx)
	})
	return nil
}

// reboot presses the reset button; the target's own boot then brings back its agent
// and its services.
func reboot(ctx context.Context, t *trialRun) error {
	if err := t.target.VM.Reset(ctx); err != nil {
		return err
	}
	t.rebooted = true
	return errors.Join(t.target.Arm(ctx), t.services(ctx))
}

// services starts what is asked over TCP, and what a carrier is to kill.
func (t *trialRun) services(ctx context.Context) error {
	if _, err := t.target.VM.Start(ctx, lab.Proc{Argv: []string{"/bin/login-service"}, OOMAdj: -1000}); err != nil {
		return err
	}
	return t.release(ctx, resting)
}

// release starts a program of the drills for each carrier.
func (t *trialRun) release(ctx context.Context, argv []string) error {
	for _, c := range guest.Carriers {
		p := lab.Proc{Argv: append([]string{"/bin/rogue"}, argv...), UID: rogueUID(c), CPUs: []int{userCPU}}
		if t.row.onNIC {
			p.CPUs[0] = nicCPU
		}
		if _, err := t.target.VM.Start(ctx, p); err != nil {
			return fmt.Errorf("release %v: %w", argv, err)
		}
	}
	return nil
}
