// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"lazystate/mtcp"
)

// A process that comes to a session while that leaves finds a socket that is
// nobody's any more: it is told that the session has gone, and does not think that it
// cannot go on with it. If the session stays, the socket's error counts.
func TestResumeOfWhatLeaves(t *testing.T) {
	for lang, resume := range map[string]func(r Region, conn *net.TCPConn) string{
		"Go": func(r Region, conn *net.TCPConn) string {
			_, err := Resume(r, conn, Config{})
			if over := (*mtcp.StateError)(nil); errors.As(err, &over) {
				return "over"
			}
			return fmt.Sprint(errors.Is(err, ErrMigrated))
		},
		"C": func(r Region, conn *net.TCPConn) string {
			p := driverInC(t)
			if err := Pass(p.conn, r, ID{}, 1, 0, conn); err != nil {
				return err.Error()
			}
			said, err := p.tell("take")
			if said == "EMIGRATED\n" || err != nil {
				return fmt.Sprint(err == nil)
			}
			return "over"
		},
	} {
		for _, leaves := range []bool{true, false} {
			got := resumedWhileItLeaves(t, leaves, resume)
			if want := map[bool]string{true: "true", false: "over"}[leaves]; got != want {
				t.Errorf("%s, leaves %t: %s", lang, leaves, got)
			}
		}
	}
}

func resumedWhileItLeaves(t *testing.T, leaves bool, resume func(Region, *net.TCPConn) string) string {
	t.Helper()
	client, c := accepted(t, Config{})
	kept, r := dup(t, c.tcp), keptRegion(t, c)
	b := must(OpenBox(r))
	defer b.Close()
	c.Abandon()
	_ = client.SetLinger(0)
	client.Close()
	for state := mtcp.Established; state.Movable(); {
		if err := control(kept, func(fd int) error {
			n, err := Counters(fd)
			state = n.State
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Freeze(nil, hang); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	go func() { got <- resume(r, kept) }()
	time.Sleep(20 * time.Millisecond)
	if leaves {
		b.Depart()
	} else {
		b.Thaw()
	}
	return <-got
}
