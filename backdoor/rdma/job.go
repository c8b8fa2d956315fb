// SPDX-License-Identifier: Apache-2.0

package rdma

import (
	"encoding/binary"

	"lazystate/backdoor"
	"lazystate/verbs"
)

// chunk is the most that one work request moves: a lost packet makes a READ
// answer again from there on, and the window of staging memory is not endless.
const chunk = 64 << 10

// job is a batch on its way through one queue pair.
type job struct {
	b       *backdoor.Batch
	to      *binding // what its keys are of; nil: the root
	region  []int    // of each operation, in the binding
	limit   int      // operations to be posted; behind them one that was refused here
	refused error    // that one's

	session *session // that keys are of
	keys    []uint32

	next, off int  // the operation to be posted next, and how much of it was
	read      bool // a READ was posted: what changes memory waits for it
	done      int  // operations that have completed
}

// part is one work request's place in a job.
type part struct {
	j    *job
	op   int
	off  int // in Op.Buf
	n    int
	last bool // of the operation

	stage, cost int // piece of the ring; cost 0: none
	seq         uint32
}

// posted reports whether nothing of the job is left to post.
func (j *job) posted() bool { return j.next >= j.limit }

// finish ends the operations that have not completed: the first with err, or with
// why it was refused here, the rest flushed.
func (j *job) finish(err error) {
	if err == nil {
		err = j.refused
	}
	for ; j.done < len(j.b.Ops); j.done++ {
		j.b.Ops[j.done].Err, err = err, backdoor.ErrFlushed
	}
}

// again makes the job start anew behind what has completed.
func (j *job) again() { j.next, j.off, j.read = j.done, 0, false }

// resolve finds the keys that the operations have in a session.
func (j *job) resolve(s *session) error {
	if j.session == s {
		return nil
	}
	j.keys = j.keys[:0]
	for i := range j.limit {
		if j.to == nil {
			j.b.Ops[i].Addr = s.grant.RootAddr
			j.keys = append(j.keys, s.grant.RootKey)
			continue
		}
		key, err := s.key(j.to, j.region[i])
		if err != nil {
			return err
		}
		j.keys = append(j.keys, key)
	}
	j.session = s
	return nil
}

// where names the region of an operation, for people.
func (j *job) where(op int) string {
	if j.to == nil {
		return "root"
	}
	return j.to.regions[j.region[op]].Name
}

// request fills wr with the job's next work request and returns its part. It does
// not move the job on; ok is false while the ring has no room.
func (l *lane) request(j *job, wr *verbs.SendWR) (p part, ok bool) {
	op := &j.b.Ops[j.next]
	p = part{j: j, op: j.next, off: j.off}
	*wr = verbs.SendWR{RemoteAddr: op.Addr + uint64(j.off), RKey: j.keys[j.next], SG: wr.SG[:0]}
	atomic := op.Kind == backdoor.OpCmpSwap || op.Kind == backdoor.OpFetchAdd
	p.n = min(len(op.Buf)-j.off, chunk)
	if atomic {
		p.n = 8
	}
	p.last = atomic || j.off+p.n == len(op.Buf)
	data := []byte(nil)
	if op.Kind == backdoor.OpWrite {
		data = op.Buf[j.off : j.off+p.n]
	}
	if data != nil && p.n <= l.inline {
		wr.Inline, wr.Flags = data, verbs.SendInline
	} else {
		if p.stage, p.cost, ok = l.ring.take(p.n); !ok {
			return p, false
		}
		copy(l.m.mr.Bytes()[p.stage:], data)
		wr.SG = append(wr.SG, l.m.mr.SGE(p.stage, p.n))
	}
	switch op.Kind {
	case backdoor.OpRead:
		wr.Op = verbs.OpRDMARead
	case backdoor.OpWrite:
		wr.Op = verbs.OpRDMAWrite
	case backdoor.OpCmpSwap:
		wr.Op, wr.CompareAdd, wr.Swap = verbs.OpAtomicCmpAndSwp, op.Compare, op.Swap
	case backdoor.OpFetchAdd:
		wr.Op, wr.CompareAdd = verbs.OpAtomicFetchAndAdd, op.Swap
	}
	if op.Kind != backdoor.OpRead && j.read {
		wr.Flags |= verbs.SendFence // a READ that is asked for again must not see it
	}
	return p, true
}

// advance moves the job behind a part that was posted.
func (j *job) advance(p part) {
	if j.b.Ops[p.op].Kind != backdoor.OpWrite {
		j.read = true
	}
	if p.last {
		j.next, j.off = j.next+1, 0
	} else {
		j.off += p.n
	}
}

// arrived takes a part's result out of the staging memory. It reports whether the
// job has ended.
func (l *lane) arrived(p *part) bool {
	op := &p.j.b.Ops[p.op]
	stage := l.m.mr.Bytes()[p.stage:]
	switch op.Kind {
	case backdoor.OpRead:
		copy(op.Buf[p.off:p.off+p.n], stage)
	case backdoor.OpCmpSwap, backdoor.OpFetchAdd:
		op.Old = binary.NativeEndian.Uint64(stage)
	}
	if !p.last {
		return false
	}
	op.Err = nil
	p.j.done = p.op + 1
	return p.j.done == p.j.limit
}
