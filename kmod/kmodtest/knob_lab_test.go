// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
)

func (k *loaded) guestFile(t *testing.T, path string) string {
	t.Helper()
	b, err := k.vm.ReadFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func (k *loaded) guestNumber(t *testing.T, path string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(k.guestFile(t, path), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func isHook(err error, result uint32, value int64) bool {
	var no *backdoor.HookError
	return errors.As(err, &no) && no.Result == result && no.Value == value
}

// sysctlKnobs: the value before, the value set, and what is out of bounds.
func (k *loaded) sysctlKnobs(t *testing.T) {
	hooks := k.hooks(t, slot, key)
	for _, c := range []struct {
		knob         uint32
		file         string
		value        int64
		below, above int64
	}{
		{uapi.KnobOvercommitMemory, "/proc/sys/vm/overcommit_memory", 1, -1, 3},
		{uapi.KnobThreadsMax, "/proc/sys/kernel/threads-max", 2345, 63, 4194305},
		{uapi.KnobPIDMax, "/proc/sys/kernel/pid_max", 23456, 300, 4194305},
		{uapi.KnobSwappiness, "/proc/sys/vm/swappiness", 33, -1, 201},
	} {
		was := k.guestNumber(t, c.file)
		before, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: c.knob, Value: c.value})
		if now := k.guestNumber(t, c.file); err != nil || before != was || now != c.value {
			t.Errorf("%s: was %d, said %d, is %d; %v", c.file, was, before, now, err)
		}
		for _, bad := range []int64{c.below, c.above, 1 << 40} {
			_, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: c.knob, Value: bad})
			if now := k.guestNumber(t, c.file); !isHook(err, uapi.ResRange, 0) || now != c.value {
				t.Errorf("%s = %d: is %d; %v", c.file, bad, now, err)
			}
		}
		if _, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: c.knob, Value: was}); err != nil {
			t.Error(err)
		}
	}
	k.dropCaches(t, hooks)
	for _, unknown := range []uint32{0, 13, 1 << 31} {
		if _, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: unknown}); !isHook(err, uapi.ResRange, 0) {
			t.Errorf("knob %d: %v", unknown, err)
		}
	}
	if _, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobCrashKexec}); !isHook(err, uapi.ResError, -int64(syscall.ENOENT)) {
		t.Errorf("without a crash kernel: %v", err)
	}
}

// dropCaches: the file cannot be read; the kernel counts.
func (k *loaded) dropCaches(t *testing.T, hooks *backdoor.Hooks) {
	t.Helper()
	counts := func() (page, slab int) {
		for line := range strings.Lines(k.guestFile(t, "/proc/vmstat")) {
			fmt.Sscanf(line, "drop_pagecache %d", &page)
			fmt.Sscanf(line, "drop_slab %d", &slab)
		}
		return page, slab
	}
	page, slab := counts()
	for _, value := range []int64{1, 2, 3, 0, 4} {
		_, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobDropCaches, Value: value})
		if value == 0 || value == 4 {
			if !isHook(err, uapi.ResRange, 0) {
				t.Errorf("drop_caches %d: %v", value, err)
			}
		} else if err != nil {
			t.Errorf("drop_caches %d: %v", value, err)
		}
	}
	if p, s := counts(); p != page+2 || s != slab+2 {
		t.Errorf("dropped pages %d and slabs %d times, want 2 and 2", p-page, s-slab)
	}
}

// schedOf is nice, real-time priority and policy of a process (proc(5), stat).
func (k *loaded) schedOf(t *testing.T, pid uint32) [3]string {
	t.Helper()
	_, rest, _ := strings.Cut(k.guestFile(t, fmt.Sprintf("/proc/%d/stat", pid)), ") ")
	f := strings.Fields(rest) // from the third on
	return [3]string{f[19-3], f[40-3], f[41-3]}
}

// schedulingKnobs: nice and class of one process, named by its start time too.
func (k *loaded) schedulingKnobs(t *testing.T) {
	hooks := k.hooks(t, slot, key)
	_, p := k.sleeper(t)
	for _, c := range []struct {
		knob   uint32
		value  int64
		before int64
		want   [3]string
	}{
		{uapi.KnobNice, 7, 0, [3]string{"7", "0", "0"}},
		{uapi.KnobSchedFIFO, 0, 7, [3]string{"7", "1", "1"}},
		{uapi.KnobSchedNormal, -5, 7, [3]string{"-5", "0", "0"}},
	} {
		before, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: c.knob, Arg: p.PID, StartTime: p.StartTime, Value: c.value})
		if got := k.schedOf(t, p.PID); err != nil || got != c.want || before != c.before {
			t.Errorf("%s %d: nice, priority, policy %v, nice before %d; %v", uapi.KnobName(c.knob), c.value, got, before, err)
		}
	}
	is := k.schedOf(t, p.PID)
	for _, bad := range []struct {
		knob   uint32
		value  int64
		start  uint64
		result uint32
		errno  syscall.Errno
	}{
		{uapi.KnobNice, 20, p.StartTime, uapi.ResRange, 0},
		{uapi.KnobNice, -21, p.StartTime, uapi.ResRange, 0},
		{uapi.KnobSchedNormal, 20, p.StartTime, uapi.ResRange, 0},
		{uapi.KnobSchedFIFO, 1, p.StartTime, uapi.ResRange, 0},
		{uapi.KnobNice, 3, p.StartTime + 1, uapi.ResError, syscall.ESRCH},
		{uapi.KnobSchedFIFO, 0, 0, uapi.ResError, syscall.ESRCH},
	} {
		_, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: bad.knob, Arg: p.PID, StartTime: bad.start, Value: bad.value})
		if got := k.schedOf(t, p.PID); !isHook(err, bad.result, -int64(bad.errno)) || got != is {
			t.Errorf("%+v: %v, and the process has %v", bad, err, got)
		}
	}
	kthread := k.leader(t, 2)
	if _, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobNice, Arg: 2, StartTime: kthread.StartTime, Value: 3}); !isHook(err, uapi.ResError, -int64(syscall.ESRCH)) {
		t.Errorf("a kernel thread: %v", err)
	}
	k.threadsToo(t, hooks)
}

// uidKnob: the limit of a user's processes that run, which lowers only.
func (k *loaded) uidKnob(t *testing.T) {
	hooks := k.hooks(t, slot, key)
	mine, other := k.start(t, lab.Proc{Argv: sleep, UID: 4711}), k.start(t, lab.Proc{Argv: sleep, UID: 4712})
	was := k.nproc(t, other)
	for _, c := range []struct{ value, want int64 }{{77, 77}, {5, 5}, {900, 5}} {
		if _, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobUIDNProc, Arg: 4711, Value: c.value}); err != nil {
			t.Error(err)
		}
		if got := k.nproc(t, mine); got != strconv.FormatInt(c.want, 10) {
			t.Errorf("set to %d the limit is %s", c.value, got)
		}
	}
	if now := k.nproc(t, other); now != was {
		t.Errorf("the other user's went from %s to %s", was, now)
	}
	if _, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobUIDNProc, Arg: 4711, Value: 4194305}); !isHook(err, uapi.ResRange, 0) {
		t.Errorf("out of range: %v", err)
	}
	if _, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobUIDNProc, Arg: 4713, Value: 9}); !isHook(err, uapi.ResError, -int64(syscall.ESRCH)) {
		t.Errorf("a user without processes: %v", err)
	}
}

func (k *loaded) nproc(t *testing.T, pid int) string {
	t.Helper()
	for line := range strings.Lines(k.guestFile(t, fmt.Sprintf("/proc/%d/limits", pid))) {
		if rest, is := strings.CutPrefix(line, "Max processes"); is {
			return strings.Fields(rest)[0]
		}
	}
	t.Fatalf("pid %d has no limit of processes", pid)
	return ""
}
