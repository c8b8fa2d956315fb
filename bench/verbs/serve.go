// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"

	"lazystate/verbs"
)

const serveArg = "serve"

// memory of the serving side.
const memory = 1 << 20

// serve is the other process: it prints its address and lives until its input ends.
func serve(what string, stdin io.Reader, stdout, stderr io.Writer) int {
	var addr string
	var err error
	if what == "tcp" {
		addr, err = serveTCP()
	} else {
		addr, err = serveVerbs(what)
	}
	if err != nil {
		fmt.Fprintf(stderr, "verbs %s %s: %v\n", serveArg, what, err)
		return 1
	}
	fmt.Fprintln(stdout, addr)
	io.Copy(io.Discard, stdin) // its end is ours
	return 0
}

func serveVerbs(url string) (string, error) {
	s, err := verbs.Listen(context.Background(), url, &verbs.Config{NoLocal: true, Prepare: func(s *verbs.Setup) error {
		mr, err := s.AllocMR(memory, verbs.AccessAll)
		if err != nil {
			return err
		}
		s.Param.Private = binary.LittleEndian.AppendUint32(nil, mr.RKey())
		s.Param.Private = binary.LittleEndian.AppendUint64(s.Param.Private, mr.Addr())
		return nil
	}})
	if err != nil {
		return "", err
	}
	go func() {
		for {
			c, err := s.Accept(context.Background())
			if err != nil {
				return
			}
			go attend(c)
		}
	}()
	return s.Addr().String(), nil
}

// attend waits in the device, as a program does that has nothing else to do:
// it is what a network card is, where the provider is software.
func attend(c *verbs.Conn) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-c.Done(); cancel() }()
	c.CQ.Wait(ctx, make([]verbs.WC, 1))
	c.Close()
}

// serveTCP answers requests {1 byte what, 4 bytes count}: a read with count
// bytes, a write of count bytes with one byte.
func serveTCP() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answerTCP(c)
		}
	}()
	return l.Addr().String(), nil
}

func answerTCP(c net.Conn) {
	defer c.Close()
	in := bufio.NewReaderSize(c, 2*large)
	mem := make([]byte, large)
	var req [5]byte
	for {
		if _, err := io.ReadFull(in, req[:]); err != nil {
			return
		}
		n := min(binary.LittleEndian.Uint32(req[1:]), large)
		out := mem[:1]
		if kind(req[0]) == read {
			out = mem[:n]
		} else if _, err := io.ReadFull(in, mem[:n]); err != nil {
			return
		}
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// process is the serving side, started from this program.
type process struct {
	cmd  *exec.Cmd
	in   io.Closer
	addr string
}

func startServer(ctx context.Context, what string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, "/proc/self/exe", serveArg, what)}
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in = in
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("server of %s: %w", what, err), p.Close())
	}
	p.addr = strings.TrimSpace(line)
	return p, nil
}

// Close ends the process.
func (p *process) Close() error {
	return errors.Join(p.in.Close(), p.cmd.Wait())
}
