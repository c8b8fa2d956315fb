// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"lazystate/bench/guest"
	"lazystate/tools/lab"
)

// outsider asks the target as those do who have no backdoor.
type outsider struct {
	name string
	ask  func(ctx context.Context, vm *lab.VM) error
}

const (
	loginAddr    = guest.TargetAddr + ":2222"
	askedWithin  = 10 * time.Second
	pingEvery    = 500 * time.Millisecond
	loginWord    = "logged42in"
	loginCommand = "root\nlazystate\necho logged$((40+2))in\n"
)

var outsiders = []outsider{
	{"ping", func(ctx context.Context, vm *lab.VM) error {
		return within(vm, func() error { return ping(ctx, guest.TargetAddr) })
	}},
	{"tcp", func(ctx context.Context, vm *lab.VM) error {
		return within(vm, func() error { return connect(ctx, nil) })
	}},
	{"login", func(ctx context.Context, vm *lab.VM) error {
		return within(vm, func() error { return connect(ctx, login) })
	}},
	{"console", func(ctx context.Context, vm *lab.VM) error { return vm.Login(ctx) }},
}

func within(vm *lab.VM, do func() error) error { return lab.InNetns(vm.Config().Net, do) }

// ping sends echo requests until one is answered.
func ping(ctx context.Context, addr string) error {
	to, err := net.ResolveIPAddr("ip4", addr)
	if err != nil {
		return err
	}
	c, err := net.DialIP("ip4:icmp", nil, to)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	id := uint16(time.Now().UnixNano())
	buf := make([]byte, 1500)
	for seq := uint16(1); ctx.Err() == nil; seq++ {
		if _, err := c.Write(echo(id, seq)); err != nil {
			return err
		}
		for end := time.Now().Add(pingEvery); ctx.Err() == nil; {
			if err := c.SetReadDeadline(end); err != nil {
				return err
			}
			n, _, err := c.ReadFrom(buf) // Read would leave the IP header before it
			if err != nil {
				break // its time is over
			}
			if answers(buf[:n], id) {
				return nil
			}
		}
	}
	return fmt.Errorf("no echo: %w", ctx.Err())
}

const echoSize = 16

// echo is an ICMP echo request.
func echo(id, seq uint16) []byte {
	b := make([]byte, echoSize)
	b[0] = 8
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[6:], seq)
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(b[2:], ^uint16(sum+sum>>16))
	return b
}

// answers reports whether an ICMP message is an echo reply to us.
func answers(b []byte, id uint16) bool {
	return len(b) >= echoSize && b[0] == 0 && binary.BigEndian.Uint16(b[4:]) == id
}

// connect makes a TCP connection and, if there is more to do, does it.
func connect(ctx context.Context, then func(net.Conn) error) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", loginAddr)
	if err != nil {
		return err
	}
	defer c.Close()
	if then == nil {
		return nil
	}
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	return then(c)
}

// login lets a shell of the target say a word.
func login(c net.Conn) error {
	if _, err := io.WriteString(c, loginCommand); err != nil {
		return err
	}
	said, err := io.ReadAll(io.LimitReader(c, 4096))
	if bytes.Contains(said, []byte(loginWord)) {
		return nil
	}
	return errors.Join(fmt.Errorf("it said %q", said), err)
}
