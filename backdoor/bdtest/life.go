// SPDX-License-Identifier: Apache-2.0

package bdtest

import (
	"encoding/binary"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

// Crash stamps a panic and stops all CPUs. Memory stays readable.
func (t *Target) Crash(cause uint32, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := uapi.Panic{Magic: uapi.PanicMagic, Cause: cause, MonoNs: t.now()}
	uapi.PutCString(p.Text[:], text)
	p.Put(t.ram[t.area[uapi.KindPanic]:])
	t.hung = true
}

// Hang stops all CPUs, or lets them run again: no tick, no lock, no hook.
func (t *Target) Hang(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hung = on
}

// Stir has processes run on the CPU that a fence spares, or be still, as they are first.
func (t *Target) Stir(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := &t.kernel.ack
	a.Free[0], a.Parked[0], a.SinceNs = 0, 1, t.now()
	if on {
		a.Free[0], a.Parked[0] = 1, 0
	}
	t.writeLockAck()
}

// Reboot starts the machine again: another boot id, memory as after a boot.
func (t *Target) Reboot() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.start()
}

// Withdraw is an unload of the module: generation 0.
func (t *Target) Withdraw() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.generation = 0
	binary.LittleEndian.PutUint64(t.cfg.bar[uapi.RootGenerationOff:], 0)
}

// Offer adds n bytes to the region table, as a driver with device memory does.
func (t *Target) Offer(name string, perm backdoor.Perm, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addRegion(uapi.KindDevice, name, perm, t.alloc(uint64(n)), uint64(n))
	t.republish()
}

// Republish is a change of the region table: the generation rises.
func (t *Target) Republish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.republish()
}

func (t *Target) republish() {
	t.generation++
	for i := range t.regions {
		t.regions[i].Generation = t.generation
	}
	t.writeTable()
}

// PowerOff is the loss of the machine: every access is ErrGone.
func (t *Target) PowerOff() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone = true
}
