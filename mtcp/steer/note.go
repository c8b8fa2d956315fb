// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Notes are what whoever uses the agent wants to know of connections when it is started
// anew, beside what the programs know of those that move. Like those they outlive it
// where there is Pin; without, nothing is kept, for nothing has moved then.

// NoteMost is how long one can be.
const NoteMost = 1534

// notesMost is of how many connections.
const notesMost = 1 << 16

func (a *Agent) openNotes() (err error) {
	if a.cfg.Pin == "" || a.cfg.Gateway {
		return nil
	}
	spec := &ebpf.MapSpec{Name: "notes", Type: ebpf.Hash, KeySize: uint32(unsafe.Sizeof(bpfFlow{})), ValueSize: 2 + NoteMost, MaxEntries: notesMost,
		Flags: unix.BPF_F_NO_PREALLOC, Pinning: ebpf.PinByName}
	if a.notes, err = ebpf.NewMapWithOptions(spec, ebpf.MapOptions{PinPath: a.cfg.Pin}); err != nil {
		return fmt.Errorf("notes of connections: %w", err)
	}
	return nil
}

// Note keeps something about a connection, in the place of what was kept of it.
func (a *Agent) Note(f Flow, b []byte) error {
	if a == nil || a.notes == nil {
		return nil
	}
	if len(b) > NoteMost {
		return fmt.Errorf("note of %s: %d bytes, at most %d", f, len(b), NoteMost)
	}
	v := make([]byte, 2+NoteMost)
	binary.NativeEndian.PutUint16(v, uint16(len(b)))
	copy(v[2:], b)
	if err := a.notes.Put(f.bpf(), v); err != nil {
		return fmt.Errorf("note of %s: %w", f, full(err))
	}
	return nil
}

// Unnote forgets it; what is not there is no error.
func (a *Agent) Unnote(f Flow) error {
	if a == nil || a.notes == nil {
		return nil
	}
	return remove(a.notes, f)
}

// Notes returns all of them. One that is torn is left out.
func (a *Agent) Notes() (map[Flow][]byte, error) {
	all := map[Flow][]byte{}
	if a.notes == nil {
		return all, nil
	}
	var f bpfFlow
	var v []byte
	it := a.notes.Iterate()
	for it.Next(&f, &v) {
		if n := int(binary.NativeEndian.Uint16(v)); n <= len(v)-2 {
			all[flowOf(f)] = append([]byte{}, v[2:2+n]...)
		}
	}
	if err := it.Err(); err != nil {
		return all, fmt.Errorf("notes of connections: %w", err)
	}
	return all, nil
}
