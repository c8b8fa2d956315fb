// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"testing"

	"lazystate/backdoor"
)

// counter is a carrier that fails its third operation.
type counter struct {
	backdoor.Memory
	sizes []int
}

var errThird = errors.New("the third")

func (c *counter) Post(_ context.Context, b *backdoor.Batch) {
	c.sizes = append(c.sizes, len(b.Ops))
	b.Ops[0].Old = uint64(len(c.sizes))
	if len(c.sizes) == 3 {
		b.Ops[0].Err = errThird
	}
	b.Complete()
}

// Serial posts one by one, and ends a batch as a carrier does: nothing after a failure.
func TestSerialPostsOneByOne(t *testing.T) {
	c := &counter{}
	b := backdoor.NewBatch(make([]backdoor.Op, 4)...)
	serial{c}.Post(t.Context(), b)
	if err := b.Wait(t.Context()); !errors.Is(err, errThird) {
		t.Error(err)
	}
	if len(c.sizes) != 3 || b.Ops[1].Old != 2 || !errors.Is(b.Ops[3].Err, backdoor.ErrFlushed) {
		t.Errorf("posted %v: %+v", c.sizes, b.Ops)
	}
	for _, n := range c.sizes {
		if n != 1 {
			t.Errorf("batches of %v", c.sizes)
		}
	}
}
