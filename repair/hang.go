// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/internal/pause"
	"lazystate/repair/policy"
)

// Hang is why a target stands still, as far as it can be read from outside.
type Hang struct {
	Cause    HangCause
	Detail   string
	Stalled  []string // per-CPU clocks that stand still
	CPUs     []string // where the freeze caught each CPU; nil: nobody answered
	ByNMI    bool     // some CPU was stopped by NMI
	Running  []string // tasks in state R: one of them is what spins
	Blocked  []string // tasks that wait uninterruptibly
	Partial  bool     // some CPU still takes interrupts: hooks work
	LockErr  error    // why the target could not be frozen
	TableErr error    // why no tasks are named
	Examined time.Duration
}

// HangCause is the kind of a hang.
type HangCause uint8

const (
	NoHang HangCause = iota
	HangPanic
	HangSpin     // CPUs take no interrupts: a loop, or a spinlock taken twice
	HangDeadlock // clocks run, tasks wait for one another
)

var hangNames = [...]string{NoHang: "none", HangPanic: "panic", HangSpin: "spin", HangDeadlock: "deadlock"}

func (c HangCause) String() string { return hangNames[min(int(c), len(hangNames)-1)] }

// Repairable reports whether hooks can still do something in place: never for
// the CPUs that hang, only for what the others still run.
func (h *Hang) Repairable() bool { return h.Cause == NoHang || h.Partial && h.Cause == HangSpin }

// ticksPrefix is the name of the per-CPU clocks of the Sensor Box.
const ticksPrefix = "TICKS."

// hangLooks is the time between two looks of a diagnosis: longer than any
// clock's period, 50 polls of the slowest CPU.
const hangLooks = 500 * time.Millisecond

// DiagnoseHang names the cause of a hang: a panic stamp, CPUs whose clocks
// stand still, or tasks that wait for ever. It tries to freeze the target for
// a moment, which says where each CPU is; NMI reaches those that spin with
// interrupts off, as long as one CPU is left to send it.
func (p *Patient) DiagnoseHang(ctx context.Context) (*Hang, error) {
	began := time.Now()
	h := &Hang{}
	if stamp, err := p.Target.PanicStamp(ctx); err != nil {
		return nil, fmt.Errorf("panic stamp of %s: %w", p.Name, err)
	} else if stamp != nil {
		h.Cause, h.Detail = HangPanic, stamp.String()
	}
	switch err := p.compareLooks(ctx, h); {
	case err != nil && (h.Cause == NoHang || Lost(err) || ctx.Err() != nil):
		return nil, err
	case err != nil: // the stamp of a panic is the cause, whatever else is lost
		h.TableErr = err
	case h.Cause == NoHang:
		h.judge()
	}
	if h.Cause == NoHang && h.TableErr != nil {
		return nil, h.TableErr
	}
	if h.Cause == HangSpin {
		p.tryFreeze(ctx, h)
	}
	h.Examined = time.Since(began)
	return h, nil
}

// Dead says why the target does nothing any more, "" if some CPU of it does. For
// good: it has panicked (an oops alone may leave the rest alive); otherwise the
// clocks of all its CPUs stood still between two looks. It touches nothing.
func (p *Patient) Dead(ctx context.Context) (why string, forGood bool, err error) {
	stamp, err := p.Target.PanicStamp(ctx)
	if err != nil {
		return "", false, fmt.Errorf("panic stamp of %s: %w", p.Name, err)
	}
	if stamp != nil && stamp.Cause == uapi.PanicPanic {
		return stamp.String(), true, nil
	}
	first, err := p.clocks(ctx)
	if err == nil {
		err = pause.For(ctx, hangLooks)
	}
	if err != nil {
		return "", false, err
	}
	second, err := p.clocks(ctx)
	if err != nil {
		return "", false, err
	}
	for name, v := range first {
		if second[name] != v {
			return "", false, nil
		}
	}
	if len(first) == 0 {
		return "", false, nil
	}
	return fmt.Sprintf("the clocks of all %d CPUs stand still", len(first)), false, nil
}

// compareLooks finds clocks that stand still and tasks that did not move. A
// table that cannot be read is h.TableErr: the clocks tell without it.
func (p *Patient) compareLooks(ctx context.Context, h *Hang) error {
	clocks, err := p.clocks(ctx)
	if err != nil {
		return err
	}
	first, firstErr := p.ProcessTable(ctx)
	if err := pause.For(ctx, hangLooks); err != nil {
		return err
	}
	again, err := p.clocks(ctx)
	if err != nil {
		return err
	}
	second, secondErr := p.ProcessTable(ctx)
	for name, v := range clocks {
		if again[name] == v {
			h.Stalled = append(h.Stalled, name)
		}
	}
	slices.Sort(h.Stalled)
	h.Partial = len(h.Stalled) < len(clocks)
	if h.TableErr = errors.Join(firstErr, secondErr); h.TableErr == nil {
		h.Running, h.Blocked = still(first.Table, second.Table)
	}
	return ctx.Err()
}

// clocks returns the values of the per-CPU clocks. One without a contract
// belongs to a CPU that was taken out: it stands still, and hangs nothing.
func (p *Patient) clocks(ctx context.Context) (map[string]uint64, error) {
	v, err := p.Sensors(ctx)
	if err != nil {
		return nil, err
	}
	clocks := map[string]uint64{}
	for i := range v.Sensors {
		if name := v.Sensors[i].Name(); strings.HasPrefix(name, ticksPrefix) && v.Sensors[i].Limit != 0 {
			clocks[name] = v.Sensors[i].Value
		}
	}
	return clocks, nil
}

// mostNamed bounds the tasks that are named in a diagnosis.
const mostNamed = 16

// still returns the tasks that are running, and those that waited
// uninterruptibly in both looks without using any CPU time between.
func still(first, second policy.Table) (running, blocked []string) {
	before := map[ProcessID]policy.Process{}
	for _, q := range first.Processes {
		before[ProcessID{q.PID, q.Start}] = q
	}
	for _, q := range second.Processes {
		name := fmt.Sprintf("%d %q", q.PID, q.Comm)
		old, known := before[ProcessID{q.PID, q.Start}]
		switch {
		case q.State == 'R' && len(running) < mostNamed:
			running = append(running, name)
		case q.State == 'D' && known && old.State == 'D' && old.CPU == q.CPU && len(blocked) < mostNamed:
			blocked = append(blocked, name)
		}
	}
	return running, blocked
}

func (h *Hang) judge() {
	switch {
	case len(h.Stalled) > 0:
		h.Cause = HangSpin
		h.Detail = fmt.Sprintf("%s stand still: these CPUs take no interrupts", strings.Join(h.Stalled, ", "))
	case len(h.Blocked) > 0:
		h.Cause = HangDeadlock
		h.Detail = fmt.Sprintf("%d tasks wait and none of them moves: %s", len(h.Blocked), strings.Join(h.Blocked, ", "))
	}
}

// tryFreeze notes where each CPU was caught, and lets go at once.
func (p *Patient) tryFreeze(ctx context.Context, h *Hang) {
	o := p.lockOptions()
	o.Timeout = 3 * time.Second
	held, err := p.Target.Lock(ctx, o)
	if err != nil {
		h.LockErr = err
		return
	}
	for i, c := range held.View().CPUs {
		h.CPUs = append(h.CPUs, fmt.Sprintf("CPU %d: %s", i, uapi.CPUWhereName(c.Where)))
		h.ByNMI = h.ByNMI || c.Where >= uapi.CPUNMIUser
	}
	h.LockErr = held.Unlock(ctx)
}
