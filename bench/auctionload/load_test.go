// SPDX-License-Identifier: Apache-2.0

package auctionload

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lazystate/examples/auction/load"
)

// What a process that is the load says of updates arrives as it is; of what only looks,
// nothing.
func TestUpdates(t *testing.T) {
	text, err := json.Marshal(updates([]load.Event{
		{Kind: "bid", Key: "7", ID: 3}, {Kind: "bid", Key: "8", Refused: true}, {Kind: "comment", Key: "a", Err: errors.New("a reset")}, {Kind: "item"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	var all []Update
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	var got []load.Event
	for _, u := range all {
		got = append(got, u.event())
	}
	want := []load.Event{{Kind: "bid", Key: "7", ID: 3}, {Kind: "bid", Key: "8", Refused: true}, {Kind: "comment", Key: "a", Err: errFailed}}
	if d := cmp.Diff(want, got, cmpopts.EquateErrors()); d != "" {
		t.Error(d)
	}
}
