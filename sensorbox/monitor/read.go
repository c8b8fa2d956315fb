// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"errors"
	"time"

	"lazystate/backdoor"
	"lazystate/sensorbox"
)

// read takes one sample, and names its outcome.
func (s *session) read(ctx context.Context, due time.Duration) sensorbox.Input {
	in := sensorbox.Input{Start: now()}
	in.Late = max(in.Start-due, 0)
	b := s.spare()
	if b == nil {
		return s.unanswered(in, "all earlier samples are still under way")
	}
	pages := s.userPages
	if in.Start-s.usersAt >= checkEvery {
		pages, s.usersAt = len(b.users)/pageSize, in.Start
	}
	b.post(ctx, s.mem, pages)
	if !b.wait(ctx, s.timer, s.schedule.period) {
		return s.unanswered(in, "no answer in its slot")
	}
	in.End = now()
	if err := b.batch.Err(); err != nil {
		return s.refused(ctx, in, err)
	}
	s.share(b, pages)
	return s.decoded(ctx, in, b)
}

// share copies the user pages that a sample brought to the buffers of the
// others: a view is always of all pages, however old the unwatched ones are.
func (s *session) share(b *buffers, pages int) {
	if pages == 0 {
		return
	}
	for _, o := range s.pool {
		if o != b && o.free() {
			copy(o.users, b.users[:min(pages*pageSize, len(b.users))])
		}
	}
}

func (s *session) unanswered(in sensorbox.Input, why string) sensorbox.Input {
	in.End = now()
	in.Outcome, in.Why = sensorbox.NoAnswer, why
	in.Probe = s.probe.ask(s.m.lastAnswer())
	return in
}

// refused is a batch that came back with an error.
func (s *session) refused(ctx context.Context, in sensorbox.Input, err error) sensorbox.Input {
	if o := outcome(err); o != 0 {
		in.Outcome, in.Why = o, err.Error()
		return in
	}
	if o, why := s.identity(ctx); o != 0 {
		in.Outcome, in.Why = o, why
		return in
	}
	return s.unanswered(in, err.Error())
}

func (s *session) decoded(ctx context.Context, in sensorbox.Input, b *buffers) sensorbox.Input {
	err := s.take(b)
	strange := err != nil || b.foreign(s.target.BootID())
	if strange || in.End-s.checked >= checkEvery {
		if o, why := s.identity(ctx); o != 0 {
			in.Outcome, in.Why = o, why
			return in
		}
	}
	switch {
	case err != nil:
		in.Outcome, in.Why = sensorbox.Damaged, err.Error()
	case strange:
		in.Outcome, in.Why = sensorbox.Damaged, "the box carries another boot's id than the root"
	default:
		in.Outcome, in.View, in.Lock, in.Panic = sensorbox.Answered, &s.view, b.lockWord(), b.panicStamp()
	}
	return in
}

// take decodes the sample into the view that Status shows too.
func (s *session) take(b *buffers) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if err := s.view.Decode(b.box, b.users); err != nil {
		return err
	}
	if s.view.Shape != s.shape {
		s.shape = s.view.Shape
		s.countUserPages()
	}
	return nil
}

// identity asks the root whether this is still the machine that was opened.
// 0: yes, or nobody knows.
func (s *session) identity(ctx context.Context) (sensorbox.Outcome, string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s.checked = now()
	err := s.target.Check(ctx)
	if o := outcome(err); o != 0 {
		return o, err.Error()
	}
	return 0, ""
}

func outcome(err error) sensorbox.Outcome {
	switch {
	case errors.Is(err, backdoor.ErrGone), errors.Is(err, backdoor.ErrClosed):
		return sensorbox.IsGone
	case errors.Is(err, backdoor.ErrReplaced):
		return sensorbox.IsReplaced
	case errors.Is(err, backdoor.ErrWithdrawn):
		return sensorbox.IsWithdrawn
	}
	return 0
}
