// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"lazystate/mtcp/cbox"
)

// OnTrial reports whether a session that is held came out of a dead machine's memory
// and may still be what kills machines: see cbox.Box.Try.
func (k *Keeper) OnTrial(id cbox.ID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.sessions[id]
	if s == nil {
		return false
	}
	trial, err := s.box.Trial()
	return err == nil && trial != 0
}

// Acquit ends that.
func (k *Keeper) Acquit(id cbox.ID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.sessions[id]; s != nil {
		s.box.Acquit()
	}
}
