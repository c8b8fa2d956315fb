// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"lazystate/bench/auctionload"
)

const guestCRIU = "/bin/criu"

// CRIU reads processes through their own kernel, by ptrace and /proc: on a machine that
// stands it does not even begin, as no program does. That is shown, not assumed.
const patience = 3 * time.Second // with a program that is to begin there

// living is how long the front end's machine took for a program when it lived.
type living time.Duration

// begins has it run one that does nothing: CRIU, if it is there.
func begins(ctx context.Context, v *auctionload.Victims, tool string) (living, error) {
	if v.Front == nil {
		return 0, nil
	}
	argv := []string{"true"}
	if tool != "" {
		argv = []string{tool, "--version"}
	}
	at := time.Now()
	r, err := v.Front.Run(ctx, argv...)
	took := living(time.Since(at))
	if err == nil && r.Exit != 0 {
		err = fmt.Errorf("%v on a machine that lives: exit %d: %s", argv, r.Exit, r.Stderr)
	}
	return took, err
}

// against says what becomes of a dump on the machine that stands.
func (l living) against(ctx context.Context, v *auctionload.Victims, tool string) string {
	argv, what := []string{tool, "dump", "--tree", "1", "--images-dir", "/tmp", "--tcp-established"}, "a dump"
	if tool == "" {
		argv, what = []string{"true"}, "a program (CRIU is not installed here)"
	}
	dead, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if r, err := v.Front.Run(dead, argv...); err == nil {
		return fmt.Sprintf("%s ended on a machine that stood, with exit %d: this run shows nothing", what, r.Exit)
	}
	return fmt.Sprintf("%s did not begin within %v on the front end's machine that stood; when it lived, a program of it took %d ms", what, patience, time.Duration(l).Milliseconds())
}
