// SPDX-License-Identifier: Apache-2.0

package rdma

import (
	"context"
	"errors"
	"fmt"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/verbs"
	"lazystate/verbs/driver"
)

// DeniedError is a target that lets this monitor not connect.
type DeniedError struct {
	Reason uint32 // uapi.Deny*
	Signed bool   // by the monitor's key: the target itself says so
}

func (e *DeniedError) Error() string {
	s := "connection denied: " + uapi.DenialReasonName(e.Reason)
	if !e.Signed {
		s += " (not signed)"
	}
	return s
}

// dialError says what a failed attempt to connect tells of the target.
func dialError(err error) error {
	var rejected *verbs.RejectError
	var denied *DeniedError
	switch {
	case errors.As(err, &denied) && denied.Reason == uapi.DenyClosed:
		return fmt.Errorf("%w: %w", backdoor.ErrWithdrawn, err)
	case errors.As(err, &rejected) && rejected.Reason == driver.RejectInvalidServiceID: // a live kernel without the module
		return fmt.Errorf("%w: %w", backdoor.ErrWithdrawn, err)
	case errors.As(err, &rejected), errors.As(err, &denied):
		return err
	case errors.Is(err, verbs.ErrUnreachable), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", backdoor.ErrUnanswered, err)
	}
	return err
}

// opError says what a failed work request tells of an operation.
func opError(op *backdoor.Op, region string, wc *verbs.WC) error {
	err := wc.Err()
	switch wc.Status {
	case verbs.WCRemAccessErr, verbs.WCRemInvReqErr, verbs.WCRemOpErr:
		n := len(op.Buf)
		if op.Kind == backdoor.OpCmpSwap || op.Kind == backdoor.OpFetchAdd {
			n = 8
		}
		return &backdoor.AccessError{Op: op.Kind, Addr: op.Addr, Len: n, Region: region, Why: "refused by the target's side: " + wc.Status.String()}
	case verbs.WCRetryExcErr, verbs.WCRNRRetryExcErr:
		return fmt.Errorf("%w: %w", backdoor.ErrUnanswered, err)
	}
	return err
}

// errLost is what becomes of operations on a connection that ended: they may or
// may not have been carried out.
var errLost = fmt.Errorf("connection lost: %w", backdoor.ErrUnanswered)
