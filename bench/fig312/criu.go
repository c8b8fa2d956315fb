// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"lazystate/bench/auctionload"
)

const guestCRIU = "/bin/criu"

// CRIU is a program of the machine whose processes it dumps: it needs that one's
// kernel, by ptrace and /proc, to read them. On one that stands it does not begin, as
// no program does.
const standing = 3 * time.Second // so long it has

// began is how long the machine took for a program when it lived.
type began struct{ took time.Duration }

// begins has the machine run a program that does nothing: CRIU, if it is there.
func begins(ctx context.Context, v *auctionload.Victims, tool string) (b began, err error) {
	if v.Front == nil {
		return b, nil
	}
	argv := []string{"true"}
	if tool != "" {
		argv = []string{tool, "--version"}
	}
	at := time.Now()
	r, err := v.Front.Run(ctx, argv...)
	b.took = time.Since(at)
	if err == nil && r.Exit != 0 {
		err = fmt.Errorf("%v on a machine that lives: exit %d: %s", argv, r.Exit, r.Stderr)
	}
	return b, err
}

// against says what becomes of a dump on the machine that stands.
func (b began) against(ctx context.Context, v *auctionload.Victims, tool string) string {
	argv, what := []string{tool, "dump", "--tree", "1", "--images-dir", "/tmp", "--tcp-established"}, "a dump"
	if tool == "" {
		argv, what = []string{"true"}, "a program (CRIU is not installed here)"
	}
	dead, cancel := context.WithTimeout(ctx, standing)
	defer cancel()
	if r, err := v.Front.Run(dead, argv...); err == nil {
		return fmt.Sprintf("%s ended on a machine that stood, with exit %d: this run shows nothing", what, r.Exit)
	}
	return fmt.Sprintf("%s did not begin within %v on the front end's machine that stood; when it lived, a program of it took %d ms", what, standing, b.took.Milliseconds())
}
