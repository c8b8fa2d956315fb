// SPDX-License-Identifier: Apache-2.0

package landing

import "lazystate/mtcp/cbox"

// Ledger notes which session is being made to live. It outlives this process, and
// not the machine: of what a process has died the next one knows (§3.6.3).
type Ledger interface {
	// Deaths is how often this process has died of a session.
	Deaths(id cbox.ID) int
	// Begin comes before the session lives, End when it does, or does not.
	Begin(id cbox.ID) error
	End(id cbox.ID) error
	// SetAside is for good: an older state of the session may lie in the memory of
	// another machine, too. Aside says why it was set aside; "": it was not.
	SetAside(id cbox.ID, why string) error
	Aside(id cbox.ID) (why string)
}
