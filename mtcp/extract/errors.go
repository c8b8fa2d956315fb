// SPDX-License-Identifier: Apache-2.0

package extract

import "fmt"

// Reason is why a socket is lost.
type Reason string

// The reasons.
const (
	Unmovable  Reason = "state"      // no connection, or one that has ended
	Refused    Reason = "refused"    // it has what no kernel lets anybody restore
	Unreadable Reason = "unreadable" // an address leads nowhere
	Damaged    Reason = "damaged"    // what nobody was inside does not agree with itself
	Torn       Reason = "torn"       // stopped half-updated, and not to be told from what is there
	TooLarge   Reason = "too large"  // of more bytes than the caller allows
)

// LostError is a socket that cannot be recovered.
type LostError struct {
	Reason Reason
	Why    string
}

func (e *LostError) Error() string { return fmt.Sprintf("socket is lost: %s: %s", e.Reason, e.Why) }

func lost(reason Reason, why string, args ...any) error {
	return &LostError{reason, fmt.Sprintf(why, args...)}
}
