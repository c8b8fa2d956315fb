// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/repair/policy"
)

const pageSize = 4096

// ProcessTable is the local view of a target's process table (§3.7.2).
type ProcessTable struct {
	policy.Table
	Torn      int // entries that changed under the reader and were left out
	Truncated bool
	Note      string         // how the walk had to be made; "": by the IDR
	Stats     backdoor.Stats // what the walk cost
	Took      time.Duration
}

// ProcessTable reads the target's process table and who forks how fast.
func (p *Patient) ProcessTable(ctx context.Context) (*ProcessTable, error) {
	began, before := time.Now(), p.Target.Stats()
	list, note, err := p.walk(ctx)
	if err != nil {
		return nil, fmt.Errorf("process table of %s: %w", p.Name, err)
	}
	t := &ProcessTable{Torn: list.Torn, Truncated: list.Truncated, Note: note}
	for i := range list.Tasks {
		t.Processes = append(t.Processes, process(&list.Tasks[i]))
	}
	uids, err := p.uids(ctx)
	if err != nil && !errors.Is(err, backdoor.ErrNoRegion) {
		return nil, err
	}
	t.Now = time.Duration(uids.MonoNs)
	t.Forks = map[uint32]float64{}
	for _, u := range uids.UID[:uids.Count] {
		t.Forks[u.UID] = float64(u.ForksPerS)
	}
	// The census is up to a second old, and without it nothing tells the time.
	for i := range t.Processes {
		t.Now = max(t.Now, t.Processes[i].Start)
	}
	t.Stats, t.Took = p.Target.Stats().Sub(before), time.Since(began)
	return t, nil
}

// idrTries: a tree that merely changed under the reader is whole the next time.
const idrTries = 2

// walk reads the tasks by the IDR; where that is damaged, task by task along
// the list of init_task, which costs a round trip for each. note says so.
func (p *Patient) walk(ctx context.Context) (list *backdoor.TaskList, note string, err error) {
	for range idrTries {
		list, err = p.Target.Tasks(ctx, backdoor.WalkOptions{})
		switch {
		case err == nil && !damaged(list):
			return list, "", nil
		case Lost(err) || ctx.Err() != nil || errors.Is(err, backdoor.ErrNoRegion):
			return nil, "", err
		}
	}
	byList, listErr := p.Target.Tasks(ctx, backdoor.WalkOptions{Via: backdoor.ViaList})
	switch {
	case listErr == nil && (err != nil || len(byList.Tasks) >= len(list.Tasks)):
		return byList, "the tree of pids is damaged: walked by the task list", nil
	case Lost(listErr) || ctx.Err() != nil:
		return nil, "", listErr
	case err != nil || len(list.Tasks) == 0:
		return nil, "", errors.Join(errDamaged, err, listErr)
	}
	return list, fmt.Sprintf("the tree of pids is damaged, and the task list is no better (%v)", listErr), nil
}

var errDamaged = errors.New("the tree of pids is damaged")

// damaged reports a walk that missed more than what comes and goes: a node of
// the tree holds 64 entries.
func damaged(l *backdoor.TaskList) bool { return l.Nodes > 0 || l.Torn > len(l.Tasks) }

func process(t *backdoor.Task) policy.Process {
	return policy.Process{
		PID: t.PID, PPID: t.PPID, UID: t.UID, EUID: t.EUID, Comm: t.Comm, State: stateOf(t),
		Start: nanoseconds(t.StartTime), CPU: nanoseconds(t.UTime + t.STime), Threads: t.Threads, MM: t.MM,
		RSS: pages(t.RSS()), Swap: pages(t.Swap), PageTables: t.PgTables,
		Kernel: t.KThread(), Protected: t.NSLevel > 0 && t.NSPID == 1 && !t.UserNS, Exiting: t.Flags&backdoor.PFExiting != 0,
	}
}

// nanoseconds keeps all 64 bits: StartTime names the process in a kill.
func nanoseconds(ns uint64) time.Duration { return time.Duration(ns) }

func pages(n uint64) uint64 {
	if n > math.MaxUint64/pageSize {
		return math.MaxUint64
	}
	return n * pageSize
}

// stateOf is the letter of the process as a whole: a dead leader of living
// threads is not dead.
func stateOf(t *backdoor.Task) byte {
	switch {
	case t.ExitState == 0:
		return t.StateLetter()[0]
	case t.Live > 0:
		return 'S'
	}
	return 'Z'
}

// uidsTries bounds the reads of a census that is being written each time.
const uidsTries = 4

// uids reads the census of users. Its sequence count is odd while it is
// written; a torn census is used as it is, for it is bounded and only ranks.
func (p *Patient) uids(ctx context.Context) (u uapi.UIDs, err error) {
	r, err := p.Target.Region(uapi.KindUIDs)
	if err != nil {
		return u, err
	}
	if r.Len < uapi.UIDsSize {
		return u, fmt.Errorf("census of %s: region of %d bytes: %w", p.Name, r.Len, backdoor.ErrNoRegion)
	}
	buf, again := make([]byte, uapi.UIDsSize), make([]byte, 8)
	for range uidsTries {
		if err := p.Target.Do(ctx, r.Read(0, buf), r.Read(uapi.UIDsSeqOff, again)); err != nil {
			return u, fmt.Errorf("census of %s: %w", p.Name, err)
		}
		if seq := binary.LittleEndian.Uint64(again); seq%2 == 0 && seq == binary.LittleEndian.Uint64(buf[uapi.UIDsSeqOff:]) {
			break
		}
	}
	return decodeCensus(p.Name, buf)
}

// decodeCensus validates a copy of struct bd_uids.
func decodeCensus(name string, b []byte) (u uapi.UIDs, err error) {
	if err := u.Decode(b); err != nil {
		return uapi.UIDs{}, fmt.Errorf("census of %s: %w", name, err)
	}
	if u.Magic != uapi.UIDsMagic {
		return uapi.UIDs{}, fmt.Errorf("census of %s: magic %#x: %w", name, u.Magic, backdoor.ErrNoRegion)
	}
	u.Count = min(u.Count, uint32(len(u.UID)))
	return u, nil
}
