// SPDX-License-Identifier: Apache-2.0

package auctionload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"

	"lazystate/backdoor"
	"lazystate/internal/netrig"
	"lazystate/internal/pause"
	"lazystate/mtcp/takeover"
	"lazystate/tools/control"
	"lazystate/tools/testbed"
)

// Recovery is what was when, by this machine's clock.
type Recovery struct {
	Crashed, Detected time.Time
	Marks             []Mark
	Lives             map[string]time.Time // by the client's end: its session goes on at fe2
	Lost              []string             // sessions, and why

	mu sync.Mutex
}

// Mark is a step of a recovery.
type Mark struct {
	Name string
	At   time.Time
}

func (r *Recovery) mark(all ...Mark) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Marks = append(r.Marks, all...)
}

// stop stops the victims, as the dissertation's are frozen: none of their CPUs runs on.
func (s *Bed) stop(ctx context.Context) error {
	var wg sync.WaitGroup
	all := s.site.Victims.all()
	errs := make([]error, len(all))
	for i, v := range all {
		wg.Go(func() { errs[i] = v.Stop(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Crash stops the victims. So much later, which is the detector's deadline, their
// monitors have what they had go on at the others.
func (s *Bed) Crash(ctx context.Context, deadline time.Duration) (*Recovery, error) {
	r := &Recovery{Lives: map[string]time.Time{}}
	if err := s.stop(ctx); err != nil {
		return nil, err
	}
	r.Crashed = time.Now()
	if err := pause.For(ctx, deadline); err != nil {
		return nil, err
	}
	r.Detected = time.Now()
	var wg sync.WaitGroup
	var errs [2]error
	if s.site.Victims.front() != nil {
		wg.Go(func() { errs[0] = s.recoverFront(ctx, r) })
	}
	if s.site.Victims.middle() != nil {
		wg.Go(func() { errs[1] = s.recoverMiddle(ctx, r) })
	}
	wg.Wait()
	return r, errors.Join(errs[:]...)
}

// fencing is how long CPUs have that cannot answer, for they stand: bdmon.yaml's fence.
const fencing = time.Millisecond

// recoverFront is what bdmon's healer does (tools/heal): it fences, and the second front
// end's scd does the rest.
func (s *Bed) recoverFront(ctx context.Context, r *Recovery) error {
	err := s.front.target.Fence(ctx, backdoor.FenceOptions{Key: key, Timeout: fencing})
	var port *backdoor.PortOnlyError
	if err != nil && !errors.As(err, &port) {
		return err
	}
	r.mark(Mark{"front end: fence holds", time.Now()})
	q := control.Request{Cmd: "salvage", Target: frontName}
	if port != nil {
		q.By = control.ByPort
	}
	lines, err := salvaged(ctx, s.S2.Control(), q)
	if err != nil {
		return fmt.Errorf("salvage the front end: %w: %s", err, s.S2.SCD.Said())
	}
	r.salvaged(lines, time.Now())
	return nil
}

var errEnd = errors.New("no more answers")

func salvaged(ctx context.Context, socket string, q control.Request) (lines []control.Salvaged, err error) {
	c, err := control.Dial(ctx, socket)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	err = c.Stream(q, func(raw json.RawMessage) error {
		var l control.Salvaged
		if err := json.Unmarshal(raw, &l); err != nil {
			return err
		}
		if l.End {
			return errEnd
		}
		lines = append(lines, l)
		return nil
	})
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	if errors.Is(err, errEnd) {
		err = nil
	}
	return lines, err
}

// salvaged notes what scd has said. Its times are since it began, and it answers when
// all is done: the last of them is no later than that.
func (r *Recovery) salvaged(lines []control.Salvaged, answered time.Time) {
	var whole int64
	for _, l := range lines {
		whole = max(whole, l.AfterUs)
	}
	began := answered.Add(-time.Duration(whole) * time.Microsecond)
	for _, l := range lines {
		at := began.Add(time.Duration(l.AfterUs) * time.Microsecond)
		switch {
		case l.Step != "":
			r.mark(Mark{"front end: " + l.Step, at})
		case l.Error != "":
			r.Lost = append(r.Lost, l.Client+": "+l.Error)
		default:
			r.Lives[l.Client] = at
		}
	}
}

// recoverMiddle has "auction rescue" begin, and waits until it has told all front ends
// that live.
func (s *Bed) recoverMiddle(ctx context.Context, r *Recovery) error {
	if err := s.rescue(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var all []Mark
	err := testbed.Await(ctx, "a front end that is told", func() bool {
		all = rescued(s.rescuer.Log())
		told := 0
		for _, m := range all {
			if m.Name == "middle tier: told" {
				told++
			}
		}
		return told == len(s.controls())
	})
	if err != nil {
		return fmt.Errorf("rescue the middle tier: %w: %s", err, s.rescuer.Said())
	}
	r.mark(all...)
	return nil
}

var (
	rescueLine = regexp.MustCompile(`msg=rescue step=(?:"([^"]*)"|(\S+)) .*\bus=(\d+)`)
	againLine  = regexp.MustCompile(`msg=reissued request=(\S+) .*\bus=(\d+)`)
)

func micro(text string) time.Time {
	us, _ := strconv.ParseInt(text, 10, 64) // digits
	return time.UnixMicro(us)
}

// rescued are the steps that a rescue has logged.
func rescued(log string) (all []Mark) {
	for _, m := range rescueLine.FindAllStringSubmatch(log, -1) {
		all = append(all, Mark{"middle tier: " + m[1] + m[2], micro(m[3])})
	}
	return all
}

// Reissued is when front ends that live have asked again, by the request.
func (s *Bed) Reissued() map[string]time.Time {
	all := map[string]time.Time{}
	for _, p := range s.live {
		for _, m := range againLine.FindAllStringSubmatch(p.Log(), -1) {
			if at, was := all[m[1]], micro(m[2]); at.IsZero() || was.Before(at) {
				all[m[1]] = was
			}
		}
	}
	return all
}

// Restart kills the first front end's process and starts another at once, as an init
// system does that need not think about it.
func (s *Bed) Restart(ctx context.Context) error {
	v := s.site.Victims.front()
	if err := v.Kill(ctx, s.front.pid, syscall.SIGKILL); err != nil {
		return err
	}
	var err error
	s.front.pid, err = v.Launch(ctx, auction, s.frontArgs(testbed.VictimKeeper, fmt.Sprint(testbed.Port))...)
	return err
}

// Failover has the second front end take the first one's address when that stands, as
// keepalived does: whoever had a connection gets a reset.
func (s *Bed) Failover(ctx context.Context, deadline time.Duration) error {
	if err := s.stop(ctx); err != nil {
		return err
	}
	if err := pause.For(ctx, deadline); err != nil {
		return err
	}
	s.S2.Host.Addr(sharedPrefix())
	return s.S2.Try(func() error {
		link, err := takeover.Open(netrig.Dev)
		if err != nil {
			return err
		}
		defer link.Close()
		return link.Announce(testbed.Shared)
	})
}
