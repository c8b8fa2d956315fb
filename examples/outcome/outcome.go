// SPDX-License-Identifier: Apache-2.0

package outcome

import (
	"errors"
	"fmt"
)

// Outcome is what PostgreSQL says of a transaction.
type Outcome int

// The outcomes.
const (
	Unknown Outcome = iota // too old, or not of this database
	Committed
	Aborted
	InProgress
)

func (o Outcome) String() string {
	return [...]string{"unknown", "committed", "aborted", "in progress"}[o]
}

// Txn names a transaction for good. A number alone does not: after a crash a
// database may give numbers out again that were never written to its log, and a
// standby that took its place goes on counting from where it had come.
type Txn struct {
	XID  uint64 `json:"xid"`
	Home string `json:"home"` // the database's identity and timeline
}

// ErrUnknown is that of every UnknownError.
var ErrUnknown = errors.New("outcome of a transaction is unknown")

// UnknownError is a transaction of which nobody can say any more what became of
// it. Somebody has to look: neither a reply nor another try would be right.
type UnknownError struct {
	XID uint64
	Why string
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("outcome of transaction %d is unknown: %s", e.XID, e.Why)
}

// Is makes it an ErrUnknown.
func (e *UnknownError) Is(target error) bool { return target == ErrUnknown }
