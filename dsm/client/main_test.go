// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/dsm/call"
	"lazystate/internal/memfd"
)

// daemon is a node's, that says yes to everything and notes it.
type daemon struct {
	offer   call.Offer
	answers answers
	calls   []call.Call
	saved   []byte
	err     error
	over    chan struct{}
}

type answers map[uint32]func() (cause uint32, flags call.Flags, why string)

// startDaemon has the program's side find it.
func startDaemon(t *testing.T, private []byte, a answers) *daemon {
	t.Helper()
	const pages = 300
	region, err := memfd.Sealed("region", pages*4096)
	if err != nil {
		t.Fatal(err)
	}
	w := uapi.DsmWelcome{Base: 0x310000000000, Bytes: pages * 4096, PageSize: 4096, Node: 1, Nodes: 2, Incarnation: 1, Locks: 3, Conds: 2}
	if private != nil {
		w.Flags = uapi.DsmRestored
	}
	d := &daemon{offer: call.Offer{Welcome: w, Region: region, Device: -1, Private: private}, over: make(chan struct{}), answers: a}
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(SocketVariable, path)
	go d.run(l)
	t.Cleanup(func() {
		l.Close()
		<-d.over
		unix.Close(region)
		if d.err != nil {
			t.Error(d.err)
		}
	})
	return d
}

func (d *daemon) run(l *net.UnixListener) {
	defer close(d.over)
	conn, err := l.AcceptUnix()
	if err != nil {
		return // nobody came
	}
	s, a, err := call.Accept(conn, d.offer)
	if err == nil {
		unix.Close(a.Uffd)
		unix.Close(a.Pagemap)
		err = s.Start(nil)
	}
	if err != nil {
		d.err = err
		return
	}
	gone := make(chan error, 1)
	go func() { gone <- s.Gone() }()
	for {
		if c, ok := s.Next(); ok {
			d.serve(s, c)
		}
		select {
		case d.err = <-gone:
			d.err = errors.Join(d.err, s.Close())
			return
		default:
		}
	}
}

func (d *daemon) serve(s *call.Server, c call.Call) {
	d.calls = append(d.calls, c)
	if c.Kind == uapi.DsmCheckpoint {
		d.saved, d.err = s.Private(c.Args[0])
	}
	if answer := d.answers[c.Kind]; answer != nil {
		s.Answer(answer())
		return
	}
	s.Answer(uapi.DsmOk, 0, "")
}

func (d *daemon) kinds() []uint32 {
	<-d.over
	var kinds []uint32
	for _, c := range d.calls {
		kinds = append(kinds, c.Kind)
	}
	return kinds
}

// What a program does arrives at its daemon, and what that says at the program.
func TestMainCalls(t *testing.T) {
	d := startDaemon(t, nil, answers{uapi.DsmBarrier: func() (uint32, call.Flags, string) { return uapi.DsmOk, uapi.DsmReplayed, "" }})
	err := Main(func(n *Node) error {
		if n.ID() != 1 || n.Nodes() != 2 || n.PageSize() != 4096 {
			t.Errorf("node %d of %d, pages of %d", n.ID(), n.Nodes(), n.PageSize())
		}
		s := Slice[int64](n, 1024)
		lock, cond := n.Locks(3), n.Conds(2)
		n.Lock(lock + 2)
		s[1023] = 7
		n.Wait(cond+1, lock+2)
		n.Signal(cond)
		n.Broadcast(cond + 1)
		n.Unlock(lock + 2)
		Place(n, s, 1)
		Prefetch(n, s[600:], true)
		n.Barrier()
		if !n.Replayed() || s[1023] != 7 {
			t.Error("the barrier was replayed, memory is kept")
		}
		_, err := Alloc[int32](n, 5)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	<-d.over
	want := []call.Call{
		{Kind: uapi.DsmAcquire, Args: [3]uint64{2}},
		{Kind: uapi.DsmWait, Args: [3]uint64{1, 2}},
		{Kind: uapi.DsmSignal, Args: [3]uint64{0, 2}},
		{Kind: uapi.DsmBroadcast, Args: [3]uint64{1, 2}},
		{Kind: uapi.DsmRelease, Args: [3]uint64{2, 2}},
		{Kind: uapi.DsmPlace, Args: [3]uint64{298, 2, 1}},
		{Kind: uapi.DsmPrefetch, Args: [3]uint64{299, 1, 1}},
		{Kind: uapi.DsmBarrier, Args: [3]uint64{0, 1, 1}},
		{Kind: uapi.DsmAcquire, Args: [3]uint64{3, 1, 1}},
		{Kind: uapi.DsmRelease, Args: [3]uint64{3, 1, 1}},
		{Kind: uapi.DsmEnd, Args: [3]uint64{0, 1, 1}},
	}
	if !slices.Equal(d.calls, want) { // arguments that a call lacks are as they were
		t.Errorf("%v", d.calls)
	}
}

// A checkpoint is taken at the end of the step in which the daemon asks for it,
// and a process that is given it goes on there.
func TestMainGoesOn(t *testing.T) {
	program := func(n *Node, first *int) error {
		var sum int
		*first = -1
		n.Private("sum", &sum)
		n.Run(func(k int) bool {
			if *first < 0 {
				*first = k
			}
			sum += k
			n.Barrier()
			return k < 3
		})
		if sum != 6 {
			t.Errorf("the sum is %d", sum)
		}
		return nil
	}
	barriers, first := 0, 0
	d := startDaemon(t, nil, answers{uapi.DsmBarrier: func() (uint32, call.Flags, string) {
		if barriers++; barriers == 2 {
			return uapi.DsmOk, uapi.DsmDue, ""
		}
		return uapi.DsmOk, 0, ""
	}})
	if err := Main(func(n *Node) error { return program(n, &first) }); err != nil || first != 0 {
		t.Fatal(first, err)
	}
	const b, c, e = uapi.DsmBarrier, uapi.DsmCheckpoint, uapi.DsmEnd
	if kinds := d.kinds(); !slices.Equal(kinds, []uint32{b, b, c, b, b, e}) {
		t.Errorf("%v", d.calls)
	}
	again := startDaemon(t, d.saved, nil)
	if err := Main(func(n *Node) error { return program(n, &first) }); err != nil || first != 2 {
		t.Fatal(first, err)
	}
	if kinds := again.kinds(); !slices.Equal(kinds, []uint32{b, b, e}) {
		t.Errorf("%v", again.calls)
	}
}

// A call that cannot be ends the program, a checkpoint that was not written does
// not.
func TestMainErrors(t *testing.T) {
	barriers := 0
	d := startDaemon(t, nil, answers{
		uapi.DsmCheckpoint: func() (uint32, call.Flags, string) { return uapi.DsmLost, 0, "the disk is full" },
		uapi.DsmBarrier: func() (uint32, call.Flags, string) {
			if barriers++; barriers == 3 {
				return uapi.DsmRefused, 0, "nodes 1 and 2 were lost at once"
			}
			return uapi.DsmOk, uapi.DsmDue, ""
		},
	})
	err := Main(func(n *Node) error { step(n); return nil })
	var refused *call.Error
	if !errors.As(err, &refused) || refused.Cause != uapi.DsmRefused || !strings.Contains(err.Error(), "nodes 1 and 2") {
		t.Error(err)
	}
	const b, c = uapi.DsmBarrier, uapi.DsmCheckpoint
	if kinds := d.kinds(); !slices.Equal(kinds, []uint32{b, c, b, c, b}) {
		t.Errorf("%v", d.calls)
	}
}

func TestMainAlone(t *testing.T) {
	t.Setenv(SocketVariable, "")
	if err := Main(nil); err == nil || !strings.Contains(err.Error(), "dsmrun") {
		t.Error(err)
	}
}
