// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	user, password = "root", "lazystate"
	patience       = 30 * time.Second // for somebody who connects and says nothing
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("login", flag.ContinueOnError)
	fs.SetOutput(stderr)
	listen := fs.String("listen", ":2222", "address")
	if err := fs.Parse(args); err != nil || fs.NArg() > 0 {
		return 2
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(ctx, "tcp", *listen)
	if err != nil {
		fmt.Fprintf(stderr, "login: %v\n", err)
		return 1
	}
	context.AfterFunc(ctx, func() { l.Close() })
	fmt.Fprintf(stdout, "listening on %s\n", l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			return 0
		}
		go serve(ctx, c)
	}
}

// serve is one login.
func serve(ctx context.Context, c net.Conn) {
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return
	}
	in := bufio.NewReader(c)
	var said [3]string
	for i, prompt := range []string{"login: ", "Password: ", "# "} {
		if _, err := io.WriteString(c, prompt); err != nil {
			return
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if said[i] = strings.TrimSpace(line); i == 1 && (said[0] != user || said[1] != password) {
			_, _ = io.WriteString(c, "Login incorrect\n")
			return
		}
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", said[2])
	cmd.Stdout, cmd.Stderr = c, c
	if err := cmd.Run(); err != nil {
		fmt.Fprintf(c, "%v\n", err)
	}
}
