// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
)

// countResets follows QEMU's events on a connection that stays open: the other
// one serves one short command after the other. The count lies in a file, for
// whoever maps the machine.
func (vm *VM) countResets(ctx context.Context) error {
	count, err := os.OpenFile(vm.dir.file("resets"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	bar, err := os.OpenFile(vm.dir.bar(), os.O_WRONLY, 0)
	if err != nil {
		return errors.Join(err, count.Close())
	}
	conn, err := dialRetry(ctx, vm.dir.file("events.sock"))
	if err == nil {
		_, err = fmt.Fprintln(conn, `{"execute":"qmp_capabilities"}`)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("events of QEMU: %w", err), bar.Close(), count.Close())
	}
	go followResets(conn, bar, count)
	return nil
}

// followResets ends with QEMU. The BAR is a file and keeps its bytes over a
// reset, where a device would lose them: the dead boot's root must go, or who
// opens the machine now believes it. The guest has not got far yet: nothing in
// it publishes a root before it has said Hello.
func followResets(conn net.Conn, bar, count *os.File) {
	defer conn.Close()
	defer bar.Close()
	defer count.Close()
	resets := uint64(0)
	for dec := json.NewDecoder(conn); ; {
		var m qmpMessage
		if dec.Decode(&m) != nil {
			return
		}
		if m.Event != "RESET" {
			continue
		}
		resets++
		// Open files in memory take eight bytes. The count goes first: who has
		// the machine open learns that it was reset, not that it withdrew.
		count.WriteAt(binary.LittleEndian.AppendUint64(nil, resets), 0)
		bar.WriteAt(make([]byte, 8), 0)
	}
}

// Resets returns how often the machine was reset since it was switched on, by
// its guest or from outside.
func (i Info) Resets() uint64 {
	b, err := os.ReadFile(dirOf(i.Name).file("resets"))
	if err != nil || len(b) != 8 { // not yet, or no longer
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}
