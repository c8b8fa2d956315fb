// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"lazystate/dsm"
	"lazystate/dsm/vtime"
	"lazystate/internal/leash"
	"lazystate/tools/lab"
	"lazystate/verbs/verbstest"
)

// echoEnv has the test's own binary be a home that answers page requests: the
// carrier, where it listens.
const echoEnv = "LAZYSTATE_TRANSPORT_ECHO"

func TestMain(m *testing.M) {
	if as := os.Getenv(echoEnv); as != "" {
		if err := echo(as); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if lab.InGuest() {
		carriers = []string{rxe}
	}
	os.Exit(lab.Main(m, 1))
}

var benchCluster = dsm.Config{Nodes: 2, Pages: 8, PageSize: 4096, Locks: 4}

// home answers.
type home struct {
	t    *Transport
	seq  uint64
	up   chan struct{}
	ends chan struct{}
}

func (h *home) Up(dsm.NodeID, uint32)            {}
func (h *home) Found(dsm.Found)                  {}
func (h *home) Nonsense(_ dsm.NodeID, why error) { fmt.Fprintln(os.Stderr, why) }
func (h *home) Lost(dsm.NodeID, uint32, error)   { close(h.ends) }

func (h *home) Deliver(m *dsm.Message) {
	<-h.up
	h.seq++
	req, _ := m.Body.(dsm.PageReq)
	h.t.Send(&dsm.Message{From: 0, To: 1, FromInc: 1, ToInc: 1, Seq: h.seq, Body: dsm.PageRep{Page: req.Page, V: req.Need, Bytes: make([]byte, benchCluster.PageSize)}})
}

func echo(carrier string) error {
	carrier, address, _ := strings.Cut(carrier, " ")
	var l net.Listener
	var err error
	switch carrier {
	case "roce":
		l, err = ListenRDMA(context.Background(), address)
	case "unix":
		l, err = net.Listen("unix", address)
	default:
		l, err = net.Listen("tcp", address)
	}
	if err != nil {
		return err
	}
	h := &home{up: make(chan struct{}), ends: make(chan struct{})}
	t, err := New(Config{Cluster: benchCluster, Incarnation: 1, Listeners: []net.Listener{l}, Address: func(dsm.NodeID) (string, error) { return "", nil }, Silence: time.Minute}, h)
	if err != nil {
		return err
	}
	h.t = t
	close(h.up)
	fmt.Println(l.Addr())
	<-h.ends
	return t.Close()
}

// asker asks again as soon as there is an answer, on the link's own thread.
type asker struct {
	home
	left int
	done chan struct{}
}

func (a *asker) Lost(dsm.NodeID, uint32, error) {}

func (a *asker) Deliver(*dsm.Message) {
	if a.left--; a.left == 0 {
		close(a.done)
		return
	}
	a.ask()
}

func (a *asker) ask() {
	a.seq++
	a.t.Send(&dsm.Message{From: 1, To: 0, FromInc: 1, ToInc: 1, Seq: a.seq, Body: dsm.PageReq{Page: 1, Need: vtime.New(2)}})
}

// A page request and its answer between two processes.
func BenchmarkPage(b *testing.B) {
	for _, carrier := range []string{"tcp", "tls", "unix", "roce"} {
		b.Run(carrier, func(b *testing.B) { benchPage(b, carrier) })
	}
}

func benchPage(b *testing.B, carrier string) {
	address := "127.0.0.1:0"
	switch carrier {
	case "unix":
		address = b.TempDir() + "/n"
	case "roce":
		address = "roce://" + verbstest.Loopback().String() + ":0"
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), echoEnv+"="+carrier+" "+address)
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	wait, err := leash.Start(cmd, syscall.SIGKILL)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 200)
	n, err := out.Read(buf)
	if err != nil {
		b.Fatal(err)
	}
	where := strings.TrimSpace(string(buf[:n]))
	switch carrier {
	case "unix":
		where = "unix:" + where
	case "roce":
		where += "?local=" + verbstest.Loopback().String()
	}
	a := &asker{left: b.N, done: make(chan struct{})}
	cfg := benchCluster
	cfg.Self = 1
	t, err := New(Config{Cluster: cfg, Incarnation: 1, Address: func(dsm.NodeID) (string, error) { return where, nil }, Silence: time.Minute, everywhere: carrier == "tls"}, a)
	if err != nil {
		b.Fatal(err)
	}
	if err := t.Ready(b.Context()); err != nil {
		b.Fatal(err)
	}
	a.home.t = t
	b.ResetTimer()
	a.ask()
	<-a.done
	b.StopTimer()
	if err := t.Close(); err != nil {
		b.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out) // until it ends
	if err := wait(); err != nil {
		b.Fatal(err)
	}
}
