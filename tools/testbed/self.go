// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"lazystate/internal/netrig"
)

// Child does what Ask has started this process for, and does not return then: arg is
// what there is to do. A bench's main calls it first.
func Child[Spec, Outcome any](arg string, do func(Spec) Outcome) {
	if len(os.Args) != 3 || os.Args[1] != arg {
		return
	}
	var s Spec
	err := json.Unmarshal([]byte(os.Args[2]), &s)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(do(s))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Ask has the bench's own program do something on a machine: see Child.
func Ask[Spec, Outcome any](ctx context.Context, b *Bed, h *netrig.Host, arg string, s Spec) (out Outcome, err error) {
	text, err := json.Marshal(s)
	if err != nil {
		return out, err
	}
	printed, err := b.On(ctx, h, arg, string(text))
	if err == nil {
		err = json.Unmarshal(printed, &out)
	}
	return out, err
}
