// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"lazystate/dsm/client"
	"lazystate/internal/leash"
)

// errProgram is a program that has ended badly by itself.
var errProgram = errors.New("the program has failed")

// program is what this node runs.
type program struct {
	*net.UnixListener // where it joins
	gone              chan bool
	err               error // why, when it is gone
}

// newProgram makes the socket that a program joins at.
func newProgram(path string) (*program, error) {
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, err
	}
	return &program{UnixListener: l, gone: make(chan bool)}, nil
}

// start starts it. It ends with this process.
func (p *program) start(command []string, stdin io.Reader, stdout, stderr io.Writer) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), client.SocketVariable+"="+p.Addr().String())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	wait, err := leash.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return fmt.Errorf("start the program: %w: %w", errProgram, err)
	}
	go func() {
		p.err = verdict(wait())
		close(p.gone)
	}()
	return nil
}

// hangUp is how long a program may live that has left its node, or that it has
// left.
const hangUp = 10 * time.Second

// after waits for the program's end when the node has no more to do for it, and
// says whose end that was: a program that is gone takes its node along, and a node
// its program.
func (p *program) after(ctx context.Context, node error) error {
	if node != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, hangUp)
		defer cancel()
	}
	select {
	case <-p.gone:
	case <-ctx.Done():
		return cmp.Or(node, ctx.Err())
	}
	switch {
	case p.err != nil:
		return p.err
	case node != nil:
		return fmt.Errorf("%w: it has ended and others have not, or never began: %w", errProgram, node)
	}
	return nil
}

// verdict is errProgram if the program has chosen to fail; what a signal ends may
// be started again.
func verdict(err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit) && exit.Exited():
		return fmt.Errorf("%w: %w", errProgram, err)
	}
	return fmt.Errorf("the program was lost: %w", err)
}

// close is Close, but that Serve may have closed it.
func (p *program) close() error {
	if err := p.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
