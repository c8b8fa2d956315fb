// SPDX-License-Identifier: Apache-2.0

package rdma

import (
	"context"
	"errors"
	"testing"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/verbs"
	"lazystate/verbs/mem"
)

// What a queue pair does not take ends as what it lost: nobody waits for it.
func TestJobsThatAreNotTakenEnd(t *testing.T) {
	dev := verbs.New(mem.NewNetwork(mem.Faults{}).Device())
	m := &Memory{o: Options{Device: dev, Pool: 1}, kick: make(chan struct{}, 1)}
	if err := m.allocate(); err != nil {
		t.Fatal(err)
	}
	p, err := m.pd.PrepareQP(&verbs.QPInitAttr{SendCQ: m.cq, Cap: verbs.QPCap{MaxSendWR: depth, MaxRecvWR: 1, MaxSendSGE: 1, MaxRecvSGE: 1}})
	if err != nil {
		t.Fatal(err)
	}
	qp, err := p.Connect(p.Endpoint(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := qp.Close(); err != nil { // so that it takes nothing
		t.Fatal(err)
	}
	l, s := m.lanes[0], &session{open: true}
	var batches []*backdoor.Batch
	for range 3 {
		b := backdoor.NewBatch(backdoor.Op{Kind: backdoor.OpRead, Buf: make([]byte, uapi.RootSize)})
		l.add(&job{b: b, limit: 1}) // of the root
		batches = append(batches, b)
	}
	l.connected(qp, s, nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i, b := range batches {
		if err := b.Wait(ctx); !errors.Is(err, backdoor.ErrUnanswered) {
			t.Errorf("job %d: %v", i, err)
		}
	}
	for _, err := range []error{m.cq.Close(), m.mr.Close(), m.pd.Close(), dev.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
}
