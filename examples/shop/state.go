// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"

	"lazystate/examples/outcome"
)

// state is a back end's snapshot (§2.3.2): that of a request whose reply is not
// in an earlier one. It says either what the reply is, or which transaction
// decides it.
type state struct {
	Seq   uint64      `json:"seq"` // of the request in its session
	Order string      `json:"order,omitempty"`
	Txn   outcome.Txn `json:"txn,omitzero"`    // about to be committed
	Reply string      `json:"reply,omitempty"` // decided
}

func (s state) encode() ([]byte, error) { return json.Marshal(s) }

// decode reads a snapshot, which another process has made.
func decode(b []byte) (s state, err error) {
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("snapshot of a shop session: %w", err)
	}
	if s.Seq == 0 || (s.Txn.XID == 0) == (s.Reply == "") || len(s.Order) > mostLine || len(s.Reply) > mostLine {
		return s, fmt.Errorf("snapshot of a shop session: it makes no sense: %.200q", b)
	}
	return s, nil
}
