// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/bench/guest"
	"lazystate/internal/pause"
	"lazystate/tools/lab"
	"lazystate/tools/testbed"
)

// server is what runs in the machine: a keeper, and for each size of the state a
// server whose clients say nothing.
type server struct {
	w *guest.Wired
	t *backdoor.Target
}

const (
	keeperSocket = "/run/scd.sock"
	firstPort    = 8000 // and the KB of the state on top
)

func serve(ctx context.Context, w *guest.Wired) (*server, error) {
	const cfg = `{"servers": "` + keeperSocket + `", "socket": "/run/scd-control", "metrics": "-", "journal": "/run/scd-moves"}`
	if err := w.VM.WriteFile(ctx, "/etc/scd.yaml", []byte(cfg), 0o600); err != nil {
		return nil, err
	}
	procs := []lab.Proc{{Argv: []string{"/bin/scd", "--config", "/etc/scd.yaml"}, Log: "/tmp/scd.log"}}
	for _, p := range paper {
		procs = append(procs, lab.Proc{
			Argv: []string{"/bin/ttcp", "serve", "--keeper", keeperSocket, "--listen", "0.0.0.0:" + strconv.Itoa(firstPort+p.kb), "--idle", "--state", strconv.Itoa(p.kb << 10)},
			Log:  fmt.Sprintf("/tmp/ttcp-%d.log", p.kb),
		})
	}
	for i, p := range procs {
		if _, err := w.VM.Start(ctx, p); err != nil {
			return nil, err
		}
		if i > 0 {
			continue
		}
		if err := await(ctx, "scd", func() bool {
			r, err := w.VM.Run(ctx, "/bin/scd", "ls", "--socket", "/run/scd-control")
			return err == nil && r.Exit == 0
		}); err != nil {
			return nil, err
		}
	}
	mem, err := w.Open(ctx, guest.INIC, false)
	if err != nil {
		return nil, err
	}
	t, err := backdoor.Open(ctx, mem)
	if err != nil {
		return nil, errors.Join(err, mem.Close())
	}
	return &server{w, t}, nil
}

// with has n sessions with so much state while f runs.
func (s *server) with(ctx context.Context, kb, n int, f func() error) (err error) {
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			err = errors.Join(err, c.Close())
		}
		err = errors.Join(err, s.bound(ctx, 0))
	}()
	at := net.JoinHostPort(guest.TargetAddr, strconv.Itoa(firstPort+kb))
	dial := func() (c net.Conn, err error) {
		err = lab.InNetns(s.w.VM.Config().Net, func() error { c, err = (&net.Dialer{}).DialContext(ctx, "tcp", at); return err })
		return c, err
	}
	if err := await(ctx, "a server at "+at, func() bool {
		c, err := dial()
		if err == nil {
			conns = append(conns, c)
		}
		return err == nil
	}); err != nil {
		return err
	}
	for len(conns) < n {
		c, err := dial()
		if err != nil {
			return err
		}
		conns = append(conns, c)
	}
	if err := s.bound(ctx, n); err != nil {
		return err
	}
	if err := pause.For(ctx, settle); err != nil {
		return err
	}
	return f()
}

// settle is for snapshots to be taken, and for the last acknowledgement.
const settle = 2 * time.Second

// bound waits until so many boxes have sockets, and no more.
func (s *server) bound(ctx context.Context, n int) error {
	return await(ctx, fmt.Sprintf("%d boxes", n), func() bool {
		boxes, err := s.t.Boxes(ctx)
		bound := 0
		for i := range boxes {
			if boxes[i].State == uapi.BoxBound && boxes[i].Err == nil {
				bound++
			}
		}
		return bound == n && err == nil
	})
}

const patience = 2 * time.Minute

func await(ctx context.Context, what string, f func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return testbed.Await(ctx, what, f)
}
