// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"context"
	"fmt"
	"time"
)

// Owner is who may write to a target: one monitor, since one change of owners.
// Epochs of a target only rise, and no two monitors ever hold the same one, so
// that what a former owner sends late is known by its epoch (§3.8).
type Owner struct {
	Epoch   uint64 // 0: nobody
	Monitor uint32 // slot
	Name    string // of the monitor, for people; may be empty
}

func (o Owner) String() string {
	name := o.Name
	if name == "" {
		name = fmt.Sprintf("slot %d", o.Monitor)
	}
	return fmt.Sprintf("%s (epoch %d)", name, o.Epoch)
}

// OwnerView is what a writer's place says of itself.
type OwnerView struct {
	Owner               // who holds it, or held it last
	Held  bool          // now
	Left  time.Duration // of the holder's lease; 0: the place has none, it is held until given up
}

// WritersPlace is a carrier that keeps the one writer's place of its target
// (DECISION 21) and the epoch of who holds it. Own makes Caps().Writable true,
// Disown makes it false; reading goes on all the time.
type WritersPlace interface {
	// Owner looks without taking.
	Owner(ctx context.Context) (OwnerView, error)

	// Own takes the place. Another's is taken only when it was given up or
	// its lease is over: *OwnedError. An epoch that is not above all that held
	// the place is refused with *StaleOwnerError; the last owner may come back
	// with the epoch it had. Owning again renews the lease, where the
	// place has one; the holder must have stopped when it is over.
	Own(ctx context.Context, o Owner, lease time.Duration) error

	// Disown gives the place up. When it returns nothing of this side's is
	// written any more.
	Disown(ctx context.Context) error
}

// OwnedError is a writer's place that another holds. It is an ErrReadOnly.
type OwnedError struct{ By OwnerView }

func (e *OwnedError) Error() string {
	if e.By.Epoch == 0 {
		return "another holds the writer's place"
	}
	return "the writer's place is held by " + e.By.Owner.String()
}

func (e *OwnedError) Unwrap() error { return ErrReadOnly }

// StaleOwnerError is an epoch that others have gone beyond. It is an ErrReadOnly.
type StaleOwnerError struct{ Claim, Last Owner }

func (e *StaleOwnerError) Error() string {
	return fmt.Sprintf("%s is no longer the owner: the last one was %s", e.Claim, e.Last)
}

func (e *StaleOwnerError) Unwrap() error { return ErrReadOnly }

// Succeeds reports whether o may follow last in a writer's place that nobody
// holds: with a higher epoch, or as the last owner come back.
func (o Owner) Succeeds(last Owner) bool {
	return o.Epoch > last.Epoch || o.Epoch == last.Epoch && o.Epoch > 0 && o.Monitor == last.Monitor && o.Name == last.Name
}
