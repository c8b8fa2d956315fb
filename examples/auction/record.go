// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"

	"lazystate/examples/outcome"
)

// record is what is to be known of a request that was done, or is about to be: its
// id, the transaction that decides it, and the reply if that is committed (§3.6.7).
// Without a transaction the reply is decided. What was aborted is tried again: of two
// records of a request, which boxes may well have, that of the later try counts.
type record struct {
	Request request     `json:"request"`
	Try     int         `json:"try"` // from 1 on
	Txn     outcome.Txn `json:"txn,omitzero"`
	Reply   reply       `json:"reply"`
}

// state is a middle tier's snapshot, of one of its connections: the request that came
// last over a front end's, or all that a monitor has sent.
type state struct {
	Records []record `json:"records"`
	Of      string   `json:"of,omitempty"` // the dead one whose they were; "": they are our own
}

func (s state) encode() ([]byte, error) { return json.Marshal(s) }

// decode reads a snapshot, which another process has made, perhaps on a machine that
// is dead.
func decode(b []byte) (s state, err error) {
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("snapshot of a middle tier: %w", err)
	}
	if len(s.Records) == 0 || len(s.Records) > 1 && s.Of == "" {
		return s, fmt.Errorf("snapshot of a middle tier: %d records", len(s.Records))
	}
	for i := range s.Records {
		if err := s.Records[i].check(); err != nil {
			return s, err
		}
	}
	return s, nil
}

// check refuses what no middle tier writes.
func (r *record) check() error {
	if len(r.Request.Session) != 32 || r.Try < 1 || !r.Reply.sound() || len(r.Reply.Result) > mostReply || r.Txn != (outcome.Txn{}) && r.Txn.XID == 0 {
		return fmt.Errorf("record of a middle tier makes no sense: %.100q", r.Request.id())
	}
	if r.Txn.XID != 0 && writes[r.Request.Kind] == nil {
		return fmt.Errorf("record of a middle tier: a transaction of %.20q", r.Request.Kind)
	}
	return nil
}
