// SPDX-License-Identifier: Apache-2.0

package armed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/inic"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
)

// Where things lie in a guest.
const (
	Agent      = "/bin/bdagent"
	KeysFile   = "/etc/backdoor.keys"
	moduleFile = "/lib/modules/backdoor.ko"
	agentLog   = "/tmp/bdagent.log"
)

// Keys are the monitors' by their slots.
type Keys map[uint32]uapi.Key

// put writes bdagent's key file.
func (k Keys) put(ctx context.Context, vm *lab.VM) error {
	var b strings.Builder
	for slot, key := range k {
		fmt.Fprintf(&b, "%d %x\n", slot, key[:])
	}
	return vm.WriteFile(ctx, KeysFile, []byte(b.String()), 0o600)
}

// GiveKeys gives keys to the module that is loaded, by a bdagent that ends. If
// the guest has none, it is built and put there.
func GiveKeys(ctx context.Context, vm *lab.VM, keys Keys) error {
	there, err := vm.Run(ctx, "test", "-x", Agent)
	if err != nil {
		return err
	}
	if there.Exit != 0 {
		bin, err := lab.Program(ctx, "bdagent", "lazystate/tools/bdagent")
		if err != nil {
			return err
		}
		if err := vm.Put(ctx, bin, Agent); err != nil {
			return err
		}
	}
	if err := keys.put(ctx, vm); err != nil {
		return err
	}
	_, err = vm.Must(ctx, Agent, "--keys-only", "--keys", KeysFile)
	return err
}

// Serve starts the Agent that lies in the guest as an operator does: it loads
// the module (a file of the host), gives the keys and stays. Serve returns when
// the target can be opened.
func Serve(ctx context.Context, vm *lab.VM, module string, keys Keys, args ...string) error {
	// An earlier agent's words are not this one's.
	err := errors.Join(vm.Put(ctx, module, moduleFile), keys.put(ctx, vm), vm.WriteFile(ctx, agentLog, nil, 0o600))
	if err != nil {
		return err
	}
	argv := append([]string{Agent, "--module", moduleFile, "--keys", KeysFile}, args...)
	if _, err := vm.Start(ctx, lab.Proc{Argv: argv, Log: agentLog, OOMAdj: -1000}); err != nil {
		return err
	}
	for end := time.Now().Add(30 * time.Second); ; {
		log, err := vm.ReadFile(ctx, agentLog)
		switch {
		case err == nil && strings.Contains(string(log), "serving"):
			return nil
		case err == nil && strings.Contains(string(log), "bdagent: "), time.Now().After(end):
			return fmt.Errorf("agent did not come up: %s", log)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Map maps the machine, as the one writer or beside it.
func Map(vm *lab.VM, writable bool) (*inic.Memory, error) {
	i := vm.Info()
	return inic.Open(inic.Options{
		RAMPath: i.RAM, BARPath: i.BAR, PID: i.QEMUPID, Resets: i.Resets, Reset: vm.Reset, Writable: writable,
	})
}

// Open maps the machine and opens the target in it.
func Open(ctx context.Context, vm *lab.VM, writable bool) (*inic.Memory, *backdoor.Target, error) {
	mem, err := Map(vm, writable)
	if err != nil {
		return nil, nil, err
	}
	target, err := backdoor.Open(ctx, mem)
	if err != nil {
		return nil, nil, errors.Join(err, mem.Close())
	}
	return mem, target, nil
}
