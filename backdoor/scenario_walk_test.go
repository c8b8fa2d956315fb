// SPDX-License-Identifier: Apache-2.0

package backdoor_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/datadriven"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

// listLink makes the next pointer of a process lead to another's, or anywhere.
func (s *scenario) listLink(d *datadriven.TestData) string {
	tasks := s.target.Offset("task_struct.tasks")
	to := s.number(d, "value")
	if d.HasArg("to") {
		to = s.target.TaskAddr(int(s.number(d, "to"))) + tasks
	}
	s.target.Poke64(s.target.TaskAddr(int(s.number(d, "pid")))+tasks, to)
	return "written"
}

// idrSlot does the same to a slot of the pid IDR's one leaf.
func (s *scenario) idrSlot(d *datadriven.TestData) string {
	node := binary.LittleEndian.Uint64(s.target.Peek(s.target.IDRHead(), 8)) - 2
	slot := func(pid uint64) uint64 { return node + s.target.Offset("xa_node.slots") + 8*pid }
	v := s.number(d, "value")
	switch {
	case d.HasArg("of"):
		v = binary.LittleEndian.Uint64(s.target.Peek(slot(s.number(d, "of")), 8))
	case d.HasArg("own-node"):
		v = node + 2
	}
	s.target.Poke64(slot(s.number(d, "pid")), v)
	return "written"
}

// member writes one field of a process's task_struct.
func (s *scenario) member(d *datadriven.TestData) string {
	at := s.target.TaskAddr(int(s.number(d, "pid"))) + s.target.Offset(word(d, "name"))
	b := make([]byte, 8)
	binary.LittleEndian.PutUint64(b, s.number(d, "value"))
	s.target.Poke(at, b[:max(s.number(d, "bytes"), 1)])
	return "written"
}

// walk prints what it found and what it cost; by IDR beside the budget of
// DECISION 20, which fails the test when it is exceeded.
func (s *scenario) walk(d *datadriven.TestData) string {
	o := backdoor.WalkOptions{Max: int(s.number(d, "max"))}
	if word(d, "via") == "list" {
		o.Via = backdoor.ViaList
	}
	list, err := s.bt.Tasks(s.t.Context(), o)
	var broken *backdoor.ListError
	if errors.As(err, &broken) {
		return "list is broken: " + strings.Split(broken.Why, " 0x")[0]
	}
	if err != nil {
		return say(err)
	}
	n := uint64(list.Seen)
	reads, batches := 4*n+n/32+16, n/16+16
	if o.Via == backdoor.ViaIDR && (list.Stats.Reads > reads || list.Stats.Batches > batches) {
		s.t.Errorf("%s: %d reads of %d, %d batches of %d", d.Pos, list.Stats.Reads, reads, list.Stats.Batches, batches)
	}
	out := fmt.Sprintf("%d tasks, %d torn, %d reads in %d batches", len(list.Tasks), list.Torn, list.Stats.Reads, list.Stats.Batches)
	if o.Via == backdoor.ViaIDR {
		out += fmt.Sprintf(" (budget %d in %d)", reads, batches)
	}
	if list.Truncated {
		out += ", truncated"
	}
	return out
}

var caught = map[string]uint8{"user": uapi.CPUUser, "idle": uapi.CPUIdle, "kernel": uapi.CPUKernel, "irq-off": uapi.CPUNMIIRQOff}

func (s *scenario) catch(d *datadriven.TestData) string {
	where, ok := caught[word(d, "where")]
	if !ok {
		d.Fatalf(s.t, "nowhere: %q", word(d, "where"))
	}
	s.target.CatchCPU(int(s.number(d, "cpu")), where)
	return "will be"
}
