// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestLogin: in and out twice, also after an attempt that broke off in the
// middle; of a machine that stands still the login ends with its context.
func TestLogin(t *testing.T) {
	t.Parallel()
	vm := New(t, Config{MemMiB: 256, Login: true})
	login := func(bound time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), bound)
		defer cancel()
		return vm.Login(ctx)
	}
	if err := login(2 * time.Minute); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", vm.SerialSocket())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("root\n")); err != nil { // now it waits for a password
		t.Fatal(err)
	}
	conn.Close()
	if err := login(2 * time.Minute); err != nil {
		t.Error(err)
	}
	if err := vm.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := login(500 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a machine that stands still: %v", err)
	}
	if err := vm.Cont(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := login(2 * time.Minute); err != nil {
		t.Errorf("and goes on: %v", err)
	}
	vm.record.Config.Login = false
	if err := login(time.Second); err == nil || !strings.Contains(err.Error(), "without a login") {
		t.Errorf("without a getty: %v", err)
	}
}

// A console that echoes what is typed and asks for everything twice, with the
// kernel's messages in between, one byte at a time.
func TestConverse(t *testing.T) {
	ours, theirs := net.Pipe()
	typed := make(chan string, 100)
	go func() {
		defer close(typed)
		b := make([]byte, 100)
		for {
			n, err := theirs.Read(b)
			if err != nil {
				return
			}
			typed <- string(b[:n])
		}
	}()
	go func() {
		// A pipe has no buffer: each write is read before the next.
		for _, c := range "\r\nhost login: root\r\nPassword: \r\n[   12.3] Out of memory: #1\r\nLogin incorrect\r\nhost login: root\r\n" +
			"Password: \r\n~ # echo logged$((40+2))in; exit\r\nlogged42in\r\n" {
			if _, err := io.WriteString(theirs, string(c)); err != nil {
				return
			}
		}
	}()
	if err := converse(ours); err != nil {
		t.Fatal(err)
	}
	ours.Close()
	var all []string
	for s := range typed {
		all = append(all, strings.TrimSpace(s))
	}
	if got := strings.Join(all, "|"); got != "|root|lazystate|root|lazystate|echo logged$((40+2))in; exit" {
		t.Errorf("typed %q", got)
	}
	ours, theirs = net.Pipe()
	go func() {
		io.ReadFull(theirs, make([]byte, 1))
		io.WriteString(theirs, "Kernel panic")
		theirs.Close()
	}()
	if err := converse(ours); err == nil || !strings.Contains(err.Error(), "Kernel panic") {
		t.Errorf("a console that ends: %v", err)
	}
}
