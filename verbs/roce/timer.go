// SPDX-License-Identifier: Apache-2.0

package roce

import "container/heap"

// timed is what has a deadline: a queue pair, a connection in the making.
type timed interface {
	// deadline returns when expire is to be called; 0: not at all.
	deadline() int64
	expire(now int64)
	alarmOf() *alarm
}

// timers is a heap of wake-up times. An entry may be early: deadlines move back
// with every acknowledgement and the heap is not told. It is told of a deadline
// that lies before all entries of its owner.
type timers struct{ list []timerEntry }

type timerEntry struct {
	when int64
	of   timed
}

func (t *timers) Len() int           { return len(t.list) }
func (t *timers) Less(i, j int) bool { return t.list[i].when < t.list[j].when }
func (t *timers) Swap(i, j int)      { t.list[i], t.list[j] = t.list[j], t.list[i] }
func (t *timers) Push(x any)         { t.list = append(t.list, x.(timerEntry)) }
func (t *timers) Pop() any {
	last := t.list[len(t.list)-1]
	t.list[len(t.list)-1] = timerEntry{}
	t.list = t.list[:len(t.list)-1]
	return last
}

// next returns the first wake-up time, 0 if there is none.
func (t *timers) next() int64 {
	if len(t.list) == 0 {
		return 0
	}
	return t.list[0].when
}

// alarm is a timed thing's place among the timers.
type alarm struct{ entry int64 } // the earliest entry, 0: none

// set makes sure that of is looked at when its deadline comes.
func (d *Device) set(a *alarm, of timed) {
	when := of.deadline()
	if when == 0 || a.entry != 0 && a.entry <= when {
		return
	}
	a.entry = when
	heap.Push(&d.timers, timerEntry{when, of})
	if d.sleeper >= 0 && (d.sleepUntil == 0 || when < d.sleepUntil) {
		setEvent(d.sleeper)
	}
}

// expire calls those whose time has come.
func (d *Device) expire(now int64) {
	for len(d.timers.list) > 0 && d.timers.list[0].when <= now {
		e := heap.Pop(&d.timers).(timerEntry)
		a := e.of.alarmOf()
		if a.entry == e.when {
			a.entry = 0
		}
		if when := e.of.deadline(); when != 0 && when <= now {
			e.of.expire(now)
		}
		d.set(a, e.of)
	}
}
