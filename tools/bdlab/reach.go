// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"

	ucli "github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"lazystate/internal/cli"
	"lazystate/tools/lab"
)

func execCommand() *ucli.Command {
	return &ucli.Command{
		Name: "exec", Usage: "run a program in the guest and exit as it does", ArgsUsage: "NAME PROGRAM [ARGUMENT...]",
		SkipFlagParsing: true,
		Action: func(c *ucli.Context) error {
			if c.NArg() < 2 {
				return cli.Usagef("exec wants NAME and PROGRAM")
			}
			return stream(c, c.Args().First(), lab.Proc{Argv: c.Args().Tail()})
		},
	}
}

func shellCommand() *ucli.Command {
	return &ucli.Command{
		Name: "shell", Usage: "open a root shell over the command channel", ArgsUsage: "NAME",
		Action: func(c *ucli.Context) error {
			if c.NArg() != 1 {
				return cli.Usagef("shell wants one NAME")
			}
			p := lab.Proc{Argv: []string{"/bin/sh", "-l"}, TTY: isTerminal(c.App.Reader)}
			if p.TTY {
				p.Rows, p.Cols = size()
			}
			return rawTerminal(p.TTY, func() error { return stream(c, c.Args().First(), p) })
		},
	}
}

func stream(c *ucli.Context, name string, p lab.Proc) error {
	vm, err := lab.Attach(name)
	if err != nil {
		return err
	}
	defer vm.Close()
	exit, err := vm.Stream(c.Context, p, c.App.Reader, c.App.Writer, c.App.ErrWriter)
	if err == nil && exit != 0 {
		err = cli.ExitError(exit)
	}
	return err
}

func consoleCommand() *ucli.Command {
	return &ucli.Command{
		Name: "console", Usage: "connect to the serial console; ^] leaves it", ArgsUsage: "NAME",
		Action: func(c *ucli.Context) error {
			if c.NArg() != 1 {
				return cli.Usagef("console wants one NAME")
			}
			vm, err := lab.Attach(c.Args().First())
			if err != nil {
				return err
			}
			defer vm.Close()
			conn, err := net.Dial("unix", vm.SerialSocket())
			if err != nil {
				return err
			}
			defer conn.Close()
			return rawTerminal(isTerminal(c.App.Reader), func() error { return join(c.Context, c, conn) })
		},
	}
}

// join copies both ways until ^], the end of input, or the end of the VM.
func join(ctx context.Context, c *ucli.Context, conn net.Conn) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	go func() {
		defer conn.Close()
		b := make([]byte, 256)
		for {
			n, err := c.App.Reader.Read(b)
			for i := range n {
				if b[i] == 0x1d {
					return
				}
			}
			if _, werr := conn.Write(b[:n]); err != nil || werr != nil {
				return
			}
		}
	}()
	_, err := io.Copy(c.App.Writer, conn)
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

func size() (rows, cols int) {
	if ws, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ); err == nil {
		return int(ws.Row), int(ws.Col)
	}
	return 24, 80
}

// rawTerminal runs f with the terminal in raw mode.
func rawTerminal(tty bool, f func() error) error {
	if !tty {
		return f()
	}
	old, err := unix.IoctlGetTermios(0, unix.TCGETS)
	if err != nil {
		return err
	}
	raw := *old
	raw.Iflag &^= unix.BRKINT | unix.ICRNL | unix.INPCK | unix.ISTRIP | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ICANON | unix.IEXTEN | unix.ISIG
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(0, unix.TCSETS, &raw); err != nil {
		return err
	}
	defer unix.IoctlSetTermios(0, unix.TCSETS, old)
	return f()
}
