// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lazystate/bench/criu/command"
	"lazystate/tools/testbed"
)

//go:embed c/answer.c
var source string

// server is the process that CRIU carries, on S1, and its folder in memory.
type server struct {
	b    *testbed.Bed
	dir  string
	path string
}

const memory = "/dev/shm"

// stage builds the program and two machines.
func stage(ctx context.Context, f func(s *server) error) error {
	defer testbed.Done()
	return testbed.Run(ctx, testbed.Config{Service: "none", Clients: []testbed.Link{{}}}, func(b *testbed.Bed) error {
		dir, err := os.MkdirTemp(memory, "criu-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		s := &server{b: b, dir: dir, path: filepath.Join(dir, "answer")}
		cc := exec.CommandContext(ctx, "cc", "-O2", "-static", "-x", "c", "-o", s.path, "-")
		cc.Stdin = strings.NewReader(source)
		if out, err := cc.CombinedOutput(); err != nil {
			return fmt.Errorf("build the server: %w: %s", err, out)
		}
		return f(s)
	})
}

// once has a connection answer, be taken down, be set up, and answer again.
func (s *server) once(ctx context.Context) (dump, restore time.Duration, err error) {
	cmd := exec.Command(s.path, strconv.Itoa(testbed.Port))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal to carry
	if err := s.b.S1.Try(cmd.Start); err != nil {
		return 0, 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	conn, err := s.dial(ctx)
	if err == nil {
		err = answered(conn)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		return 0, 0, err
	}
	images := filepath.Join(s.dir, "images")
	if err := errors.Join(os.RemoveAll(images), os.Mkdir(images, 0o700)); err != nil {
		return 0, 0, err
	}
	if dump, err = s.criu(ctx, images, "dump", "--tree", strconv.Itoa(cmd.Process.Pid)); err != nil {
		_ = cmd.Process.Kill()
		return 0, 0, err
	}
	<-ended
	pid := filepath.Join(images, "pid")
	if restore, err = s.criu(ctx, images, "restore", "--restore-detached", "--pidfile", pid); err != nil {
		return 0, 0, err
	}
	err = answered(conn)
	return dump, restore, errors.Join(err, conn.Close(), kill(pid))
}

func (s *server) dial(ctx context.Context) (conn net.Conn, err error) {
	for range 1000 { // until it listens
		if conn, err = s.b.Clients[0].Dial(ctx, s.b.S1.Addr); !errors.Is(err, syscall.ECONNREFUSED) {
			return conn, err
		}
		time.Sleep(time.Millisecond)
	}
	return nil, err
}

func answered(conn net.Conn) error {
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	b := []byte{7}
	if _, err := conn.Write(b); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, b)
	return err
}

// criu runs on S1: a connection is its network's.
func (s *server) criu(ctx context.Context, images, what string, args ...string) (took time.Duration, err error) {
	args = append([]string{"--tcp-established", "--network-lock", "skip"}, args...)
	err = s.b.S1.Try(func() (err error) { took, err = command.Run(ctx, tool, images, what, args...); return err })
	return took, err
}

// kill ends the process that CRIU has made, if the end of its connection has not.
func kill(pidfile string) error {
	pid, err := command.PID(pidfile)
	if err != nil {
		return err
	}
	for range 1000 {
		if err := syscall.Kill(pid, syscall.SIGKILL); errors.Is(err, syscall.ESRCH) {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return errors.New("the restored process does not end")
}
