// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
)

const (
	consolePassword = "lazystate"
	// openssl passwd -6 -salt lazystate lazystate
	consoleHash = "$6$lazystate$BezqYLnZVj1eHjiD27EC2/tX4kSJSZ1epsN/nJ6xPdkEPtCTJU3VUvZAcL.3xnqS2ml.FHPdZKEkXH9cU8Spw0"
)

// dialogue is what the console shows and what is typed then. What the shell
// prints is not in what is typed, so that its echo is no answer.
var dialogue = []struct{ shown, typed string }{
	{"login: ", "root\n"},
	{"assword: ", consolePassword + "\n"},
	{"# ", "echo logged$((40+2))in; exit\n"},
}

const loggedIn = "logged42in"

// Login logs in as root on the serial console, as somebody does who sits in
// front of a sick machine: a name, a password, a command, and out again. It
// needs Config.Login, and nobody else on the console. ctx bounds it; where an
// earlier one broke off does not matter.
func (vm *VM) Login(ctx context.Context) error {
	if !vm.record.Config.Login {
		return errors.New("log in: the machine was booted without a login on its console")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", vm.SerialSocket())
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := converse(conn); err != nil {
		return fmt.Errorf("log in: %w", errors.Join(ctx.Err(), err))
	}
	return nil
}

func converse(conn net.Conn) error {
	// Whatever waits there takes an empty line for an answer and asks again.
	if _, err := conn.Write([]byte("\n")); err != nil {
		return err
	}
	var seen []byte
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return fmt.Errorf("the console's last words %q: %w", tail(seen, 200), err)
		}
		seen = append(tail(seen, len(buf)), buf[:n]...)
		if bytes.Contains(seen, []byte(loggedIn)) {
			return nil
		}
		for _, d := range dialogue {
			if _, after, ok := bytes.Cut(seen, []byte(d.shown)); ok {
				seen = after
				if _, err := conn.Write([]byte(d.typed)); err != nil {
					return err
				}
				break
			}
		}
	}
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }
