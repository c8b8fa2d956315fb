// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bdpipe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want a socket, or --clock")
	}
	if args[0] == "--clock" {
		_, err := fmt.Println(time.Now().UnixNano())
		return err
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: args[0]})
	if err != nil {
		return err
	}
	defer conn.Close()
	go func() {
		// What it says ends with the input; what it hears goes on.
		_, _ = io.Copy(conn, os.Stdin)
		_ = conn.CloseWrite()
	}()
	_, err = io.Copy(os.Stdout, conn)
	return err
}
