// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"lazystate/backdoor"
	"lazystate/internal/pause"
	"lazystate/mtcp/salvage"
)

// rescue is what a monitor does for a middle tier whose machine is dead and fenced.
type rescue struct {
	dead   string // its name
	adopts node   // who goes on with its requests
	fronts []string
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	out    io.Writer // of what its operator, or the monitor, is told
	log    *slog.Logger
	began  time.Time
}

// step says what has been done, and when: since the rescue began, and in microseconds
// since 1970.
func (r *rescue) step(name string, args ...any) {
	now := time.Now()
	r.log.Info("rescue", append([]any{"step", name, "after", now.Sub(r.began), "us", now.UnixMicro()}, args...)...)
}

// mostBox is larger than any box of a middle tier: what says that it is has been damaged.
const mostBox = 1 << 20

// halts is how long CPUs may run on that have not seen their fence yet.
const halts = 50 * time.Millisecond

// telling is how long a front end or a middle tier has to answer a monitor.
const telling = 30 * time.Second

// run reads what the dead one knew, and has the other one go on with that.
func (r *rescue) run(ctx context.Context, t *backdoor.Target) error {
	r.step("fenced")
	first, rest, err := r.records(ctx, t)
	if err != nil {
		return err
	}
	if err := r.goOn(ctx, first, rest); err != nil {
		return err
	}
	_, err = fmt.Fprintf(r.out, "%s goes on with %d requests of %s\n", r.adopts.name, len(first)+len(rest), r.dead)
	return err
}

// goOn has records adopted, and only then has anybody ask. Those that somebody waits for
// come first: as soon as all records of a session are adopted, front ends are told that
// this one may be asked for elsewhere, and need not wait for those of the others. Of a
// session that is not among them nothing is known before all is adopted: it may have no
// record, or one in the last of them. A front end that does not answer is dead too: whoever
// takes its place is told as well.
func (r *rescue) goOn(ctx context.Context, first, rest []record) error {
	var early sync.WaitGroup
	defer early.Wait()
	if len(first) > 0 {
		if err := r.adopt(ctx, first); err != nil {
			return r.inVain(err)
		}
		r.step("adopted what somebody waits for")
		early.Go(func() { _ = r.tell(ctx, "told of what it waits for", sessionsOf(first)) }) // who is not told yet is told of all
	}
	if err := r.adopt(ctx, rest); err != nil {
		return r.inVain(err)
	}
	r.step("adopted")
	return r.tell(ctx, "told", nil)
}

func (r *rescue) inVain(err error) error {
	return fmt.Errorf("%s adopts what %s had: %w", r.adopts.name, r.dead, err)
}

// sessionsOf names each of them once.
func sessionsOf(records []record) (all []string) {
	for i := range records {
		all = append(all, records[i].Request.Session)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// records are what its boxes say; first are those of all sessions for which one of them
// was at work. One that cannot be read is named: a request of that session's might be done
// twice.
func (r *rescue) records(ctx context.Context, t *backdoor.Target) (first, rest []record, err error) {
	states, err := salvage.States(ctx, t, mostBox)
	if err == nil && slices.ContainsFunc(states, func(s salvage.State) bool { return s.Err != nil }) {
		if err = pause.For(ctx, halts); err == nil { // it was written to, perhaps
			states, err = salvage.States(ctx, t, mostBox)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	var all []record
	waited := map[string]bool{} // by session
	for i := range states {
		s := &states[i]
		if s.Err == nil && (s.Data == nil || s.Name != middleService) {
			continue
		}
		st, err := state{}, s.Err
		if err == nil {
			st, err = decode(s.Data)
		}
		if err != nil {
			r.log.Error("rescue: a box is lost", "of", s.Remote, "err", err)
			if _, err := fmt.Fprintf(r.out, "lost: a box of %s: %.200q\n", s.Remote, err.Error()); err != nil {
				return nil, nil, err
			}
			continue
		}
		all = append(all, st.Records...)
		if s.Read || !s.Written { // a line exports, and then it answers
			for _, session := range sessionsOf(st.Records) {
				waited[session] = true
			}
		}
	}
	for i := range all {
		if waited[all[i].Request.Session] {
			first = append(first, all[i])
		} else {
			rest = append(rest, all[i])
		}
	}
	r.step("boxes read", "boxes", len(states), "records", len(all), "waited", len(first))
	return first, rest, nil
}

// adopt gives the records to another middle tier, over as many connections as they need
// boxes, all at once; without any it is to know that it takes the other's place all the
// same.
func (r *rescue) adopt(ctx context.Context, all []record) error {
	var parts [][]record
	for first := true; first || len(all) > 0; first = false {
		n, err := fitting(all)
		if err != nil {
			return err
		}
		parts, all = append(parts, all[:n]), all[n:]
	}
	errs := make(chan error, len(parts))
	for _, some := range parts {
		go func() { errs <- r.adoptSome(ctx, some) }()
	}
	var failed error
	for range parts {
		failed = errors.Join(failed, <-errs)
	}
	return failed
}

// fitting is how many records go into one line.
func fitting(all []record) (n int, err error) {
	size := 256 // of what stands around them
	for n = range all {
		b, err := json.Marshal(all[n])
		if err != nil {
			return 0, err
		}
		if size += len(b) + 1; size > mostLine {
			if n == 0 {
				return 0, fmt.Errorf("a record of %d bytes", len(b))
			}
			return n, nil
		}
	}
	return len(all), nil
}

func (r *rescue) adoptSome(ctx context.Context, some []record) error {
	ctx, cancel := context.WithTimeout(ctx, telling)
	defer cancel()
	c, err := r.dial(ctx, "tcp", r.adopts.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if err := send(c, message{Adopt: &adoption{Of: r.dead, Records: some}}); err != nil {
		return err
	}
	var got answer
	if err := receive(c, &got); err != nil {
		return err
	}
	if got.Adopted != len(some) {
		return fmt.Errorf("it has %d of %d records", got.Adopted, len(some))
	}
	return nil
}

// tell has all front ends ask the other one, for these sessions or for all, at once; one at
// least must have heard.
func (r *rescue) tell(ctx context.Context, step string, sessions []string) error {
	ctx, cancel := context.WithTimeout(ctx, telling)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DialContext: r.dial, DisableKeepAlives: true}} // and no proxy
	errs := make(chan error, len(r.fronts))
	what := url.Values{"node": {r.dead}, "instead": {r.adopts.name}, "session": sessions}
	for _, addr := range r.fronts {
		go func() {
			err := tellOne(ctx, client, addr, what)
			if err == nil {
				r.step(step, "front", addr)
			}
			errs <- err
		}()
	}
	var failed []error
	for range r.fronts {
		if err := <-errs; err != nil {
			r.log.Warn("rescue: a front end is not told", "err", err)
			failed = append(failed, err)
		}
	}
	if len(failed) == len(r.fronts) {
		return errors.Join(failed...)
	}
	return nil
}

func tellOne(ctx context.Context, client *http.Client, addr string, what url.Values) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/dead?"+what.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", addr, resp.Status)
	}
	return nil
}
