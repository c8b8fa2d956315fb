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
	m := unconnected(t)
	qp := m.toItself(t)
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
}

// A pool that fails as a whole is connected anew, and fails again, before anybody has
// polled: no completion is lost.
func TestFlushesOfTwoLivesHaveRoom(t *testing.T) {
	m := unconnected(t)
	want := 0
	for range lives * len(m.lanes) {
		qp := m.toItself(t)
		if err := qp.Fail(); err != nil {
			t.Fatal(err)
		}
		wrs := make([]verbs.SendWR, depth)
		for i := range wrs {
			wrs[i] = verbs.SendWR{Op: verbs.OpSend, Flags: verbs.SendSignaled}
		}
		n, err := qp.PostSend(wrs...)
		if err != nil {
			t.Fatal(err)
		}
		want += n
		t.Cleanup(func() { qp.Close() })
	}
	got := 0
	for wcs := make([]verbs.WC, 32); got < want; {
		n, err := m.cq.Poll(wcs)
		if err != nil || n == 0 {
			t.Fatalf("after %d of %d: %d, %v", got, want, n, err)
		}
		got += n
	}
}

// unconnected is one whose queue pairs nobody connects, and whose completions nobody
// takes.
func unconnected(t *testing.T) *Memory {
	t.Helper()
	dev := verbs.New(mem.NewNetwork(mem.Faults{}).Device())
	m := &Memory{o: Options{Device: dev, Pool: 1}, kick: make(chan struct{}, 1)}
	if err := m.allocate(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, err := range []error{m.cq.Close(), m.mr.Close(), m.pd.Close(), dev.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return m
}

// toItself makes a queue pair for a lane, connected to itself.
func (m *Memory) toItself(t *testing.T) *verbs.QP {
	t.Helper()
	p, err := m.pd.PrepareQP(&verbs.QPInitAttr{SendCQ: m.cq, Cap: verbs.QPCap{MaxSendWR: depth, MaxRecvWR: 1, MaxSendSGE: 1, MaxRecvSGE: 1}})
	if err != nil {
		t.Fatal(err)
	}
	qp, err := p.Connect(p.Endpoint(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return qp
}
