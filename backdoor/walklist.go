// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"context"
	"encoding/binary"
	"fmt"
)

// ListError is a circular list of the target that does not close.
type ListError struct {
	Head, Link uint64
	Why        string
}

func (e *ListError) Error() string {
	return fmt.Sprintf("list %#x: link %#x: %s", e.Head, e.Link, e.Why)
}

// walkList visits the links of a circular list, head excluded, from the link
// that head names. It ends at head, with *ListError at a cycle that leaves
// head out, a link that cannot be one, or after max links.
func walkList(head, first uint64, most int, visit func(link uint64) (next uint64, err error)) error {
	seen := map[uint64]bool{}
	for link := first; link != head; {
		switch {
		case seen[link]:
			return &ListError{head, link, "cycle"}
		case link%8 != 0 || link == 0:
			return &ListError{head, link, "not a link"}
		case len(seen) == most:
			return &ListError{head, link, fmt.Sprintf("more than %d links", most)}
		}
		seen[link] = true
		next, err := visit(link)
		if err != nil {
			return &ListError{head, link, err.Error()}
		}
		link = next
	}
	return nil
}

// byList finds the thread groups on the circular list of init_task: the
// cross-check of the IDR walk, and the fallback where the IDR is damaged.
func (w *walker) byList(ctx context.Context) ([]*found, error) {
	var tasks []*found
	head := w.y.initTask + w.y.tasks
	err := fmt.Errorf("not walked")
	for try := 0; err != nil && try < walkTries; try++ {
		if tasks, err = w.listOnce(ctx, head); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return tasks, err
}

func (w *walker) listOnce(ctx context.Context, head uint64) ([]*found, error) {
	var tasks []*found
	first := VARead{VA: head, Buf: make([]byte, 8)}
	if err := w.t.ReadVA(ctx, []VARead{first}); err != nil {
		return nil, err
	}
	err := walkList(head, binary.LittleEndian.Uint64(first.Buf), w.max, func(link uint64) (uint64, error) {
		f := &found{addr: link - w.y.tasks, leader: true}
		read := []VARead{w.y.task.Read(f.addr)}
		if err := w.t.ReadVA(ctx, read); err != nil {
			return 0, err
		}
		f.record = read[0].Buf
		if w.y.plausible(f) {
			f.tgid = int32(w.y.task.Word(f.record, "tgid"))
			tasks = append(tasks, f)
		} else {
			w.list.Torn++
		}
		return w.y.task.Word(f.record, "tasks"), nil
	})
	return tasks, err
}

// signals takes the thread counts from signal_struct: the list has no threads.
func (w *walker) signals(ctx context.Context, tasks []*found) error {
	reads := make([]VARead, len(tasks))
	for i, f := range tasks {
		reads[i] = w.y.signal.Read(w.y.task.Word(f.record, "signal"))
	}
	if err := w.t.readVA(ctx, reads, w.batch); err != nil {
		return err
	}
	for i := range w.list.Tasks { // still in the order of tasks
		if reads[i].Err == nil {
			w.list.Tasks[i].Threads = int(uint32(w.y.signal.Word(reads[i].Buf, "nr_threads")))
			w.list.Tasks[i].Live = int(uint32(w.y.signal.Word(reads[i].Buf, "live")))
		}
	}
	return nil
}
