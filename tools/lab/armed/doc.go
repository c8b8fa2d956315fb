// SPDX-License-Identifier: Apache-2.0

// Package armed makes a machine of the lab a target: the module, the monitors'
// keys by bdagent, and the target opened from outside. It is what every test,
// bench and drill does before it begins.
//
// The trap: keys die with the module, and what was put into a guest dies with
// its boot. After each load and each reset GiveKeys is called again.
//
//	if err := vm.Insmod(ctx, ko, "allow_repair=1"); err != nil {
//		return err
//	}
//	if err := armed.GiveKeys(ctx, vm, armed.Keys{0: key}); err != nil {
//		return err
//	}
//	mem, target, err := armed.Open(ctx, vm, true)
//	if err != nil {
//		return err
//	}
//	defer mem.Close()
package armed
