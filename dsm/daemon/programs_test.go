// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/dsm/call"
)

// TestProgram is the program of the other tests.
func TestProgram(t *testing.T) {
	path := os.Getenv("DSM_TEST_SOCKET")
	if path == "" {
		t.Skip("is started by the other tests")
	}
	runtime.LockOSThread()
	p, err := call.Join(path)
	if err == nil {
		err = programs[flag.Arg(0)](p, flag.Args()[1:])
	}
	if err != nil {
		fmt.Println("program:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

var programs = map[string]func(*call.Program, []string) error{
	"count": count, "sleepers": sleepers, "places": places, "misuse": misuse,
	"threads": threads, "twice": twice, "wild": wild, "leaves": leaves, "late": late, "alone": alone, "bound": bound, "save": save1,
}

func word(p *call.Program, page, i int) []byte { return p.Region[page*4096+4*i:] }

func get(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

func add(b []byte, v uint32) { binary.LittleEndian.PutUint32(b, v+get(b)) }

// try does calls until one fails.
func try(calls ...func() (call.Flags, error)) (f call.Flags, err error) {
	for _, c := range calls {
		if f, err = c(); err != nil {
			return f, err
		}
	}
	return f, nil
}

// counting is count's private state.
type counting struct{ Round, Sum uint32 }

// count has each node count in words of its own and in one that all share, under
// a lock, and asks at each barrier what the others have.
func count(p *call.Program, args []string) error {
	rounds, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	var s counting
	if b, ok, err := p.Restored(); err != nil {
		return err
	} else if ok {
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
	}
	for s.Round < uint32(rounds) {
		f, err := s.round(p)
		if err != nil {
			return err
		}
		if !f.Due() {
			continue
		}
		b, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if err := p.Checkpoint(b, false); err != nil {
			return err
		}
	}
	counts := []uint32{get(word(p, 0, 0)), get(word(p, 1, 0))}
	if _, err := p.Call(uapi.DsmEnd); err != nil {
		return err
	}
	fmt.Println(counts, s.Sum)
	return p.Close()
}

func (s *counting) round(p *call.Program) (call.Flags, error) {
	me, nodes := int(p.Welcome.Node), int(p.Welcome.Nodes)
	for lock := range uint32(2) {
		if _, err := p.Acquire(lock); err != nil {
			return 0, err
		}
		add(word(p, int(lock), 0), 1)
		if _, err := p.Release(lock); err != nil {
			return 0, err
		}
	}
	add(word(p, 5, me), s.Round+1) // false sharing
	if _, err := p.Call(uapi.DsmBarrier, 1); err != nil {
		return 0, err
	}
	for i := range nodes {
		s.Sum = s.Sum*31 + get(word(p, 5, i))
	}
	s.Sum += get(word(p, 0, 0))
	s.Round++
	return p.Call(uapi.DsmBarrier, 2)
}

// sleepers take turns: each sleeps until the counter says that it is its turn.
func sleepers(p *call.Program, _ []string) error {
	me, nodes := p.Welcome.Node, p.Welcome.Nodes
	for turn := range uint32(10) {
		if _, err := p.Acquire(0); err != nil {
			return err
		}
		for get(word(p, 0, 0)) != turn*nodes+me {
			if _, err := p.Call(uapi.DsmWait, 1, 0); err != nil {
				return err
			}
		}
		add(word(p, 0, 0), 1)
		if _, err := try(func() (call.Flags, error) { return p.Call(uapi.DsmBroadcast, 1) }, func() (call.Flags, error) { return p.Release(0) }); err != nil {
			return err
		}
	}
	_, err := p.Call(uapi.DsmBarrier, 0)
	fmt.Println(get(word(p, 0, 0)))
	return errors.Join(err, end(p))
}

func end(p *call.Program) error {
	_, err := p.Call(uapi.DsmEnd)
	return errors.Join(err, p.Close())
}

// alone takes a lock often that nobody else wants.
func alone(p *call.Program, _ []string) error {
	for range 1000 {
		if _, err := p.Acquire(p.Welcome.Node); err != nil {
			return err
		}
		add(word(p, 0, int(p.Welcome.Node)), 1)
		if _, err := p.Release(p.Welcome.Node); err != nil {
			return err
		}
	}
	_, err := p.Call(uapi.DsmBarrier, 0)
	fmt.Println(get(word(p, 0, 0)), get(word(p, 0, 1)))
	return errors.Join(err, end(p))
}

// places gives pages homes, and fetches many at once.
func places(p *call.Program, _ []string) error {
	me := p.Welcome.Node
	if _, err := p.Call(uapi.DsmPlace, 0, 16, uint64(p.Welcome.Nodes-1)); err != nil {
		return err
	}
	if me == 0 {
		for page := range 16 {
			add(word(p, page, 0), uint32(page+1))
		}
	}
	sum := uint32(0)
	_, err := try(
		func() (call.Flags, error) { return p.Call(uapi.DsmBarrier, 0) },
		func() (call.Flags, error) { return p.Call(uapi.DsmPrefetch, 0, 16, 0) },
		func() (call.Flags, error) { return p.Call(uapi.DsmPrefetch, 0, 16, 0) },
		func() (call.Flags, error) { return p.Call(uapi.DsmPrefetch, 4, 4, 1) },
	)
	for page := range 16 {
		sum += get(word(p, page, 0))
	}
	fmt.Println(sum)
	return errors.Join(err, end(p))
}

// misuse asks for what there is not, and is told so each time.
func misuse(p *call.Program, _ []string) error {
	pages := p.Welcome.Bytes / uint64(p.Welcome.PageSize)
	for _, c := range [][]uint64{
		{99}, {0}, {uapi.DsmAcquire, 9}, {uapi.DsmRelease, 1 << 40}, {uapi.DsmBarrier, uapi.DsmLast}, {uapi.DsmWait, 2, 0}, {uapi.DsmWait, 0, 9},
		{uapi.DsmSignal, 2}, {uapi.DsmBroadcast, 1 << 32}, {uapi.DsmPlace, 0, pages + 1, 0}, {uapi.DsmPlace, pages, 1, 0}, {uapi.DsmPlace, 0, 1, 7},
		{uapi.DsmPrefetch, 1, 1<<64 - 1, 0}, {uapi.DsmCheckpoint, 1 << 30, 0},
	} {
		_, err := p.Call(uint32(c[0]), c[1:]...)
		var e *call.Error
		if !errors.As(err, &e) || e.Cause != uapi.DsmInvalid {
			return fmt.Errorf("%v: %w", c, err)
		}
	}
	fmt.Println("told")
	return end(p)
}

// threads accesses shared memory in another thread.
func threads(p *call.Program, _ []string) error {
	done := make(chan uint32)
	go func() {
		runtime.LockOSThread()
		done <- get(word(p, 3, 0))
	}()
	<-done
	return errors.New("another thread was let through")
}

// twice takes a lock that it has.
func twice(p *call.Program, _ []string) error {
	_, err := try(func() (call.Flags, error) { return p.Call(uapi.DsmAcquire, 0) }, func() (call.Flags, error) { return p.Call(uapi.DsmAcquire, 0) })
	return err
}

// wild writes over the ring.
func wild(p *call.Program, _ []string) error {
	ring := mapping("dsm-ring")
	if ring == nil {
		return errors.New("where is the ring?")
	}
	binary.LittleEndian.PutUint64(ring[uapi.DsmRingGateOff:], 77777)
	_, err := p.Call(uapi.DsmBarrier, 0)
	return err
}

// bound says where its thread may run, when it has used memory and calls.
func bound(p *call.Program, _ []string) error {
	word(p, 3, 0)[0]++
	if _, err := p.Call(uapi.DsmBarrier, 0); err != nil {
		return err
	}
	var may unix.CPUSet
	if err := unix.SchedGetaffinity(0, &may); err != nil {
		return err
	}
	cpu := -1
	for i := range 1024 {
		if may.IsSet(i) {
			cpu = i
		}
	}
	fmt.Println(may.Count(), cpu)
	_, err := p.Call(uapi.DsmEnd)
	return err
}

// leaves ends without having said so.
func leaves(*call.Program, []string) error { return nil }

// late is killed by a signal of its own.
func late(p *call.Program, _ []string) error {
	_, err := p.Call(uapi.DsmBarrier, 0)
	return errors.Join(err, unix.Kill(unix.Getpid(), unix.SIGKILL))
}

// save1 asks for a checkpoint and waits until it is safe.
func save1(p *call.Program, _ []string) error {
	if _, err := p.Call(uapi.DsmBarrier, 0); err != nil {
		return err
	}
	err := p.Checkpoint([]byte("state"), true)
	var e *call.Error
	if errors.As(err, &e) && e.Cause == uapi.DsmLost {
		fmt.Println("lost:", e.Why)
		err = nil
	} else {
		fmt.Println("safe")
	}
	return errors.Join(err, p.Checkpoint([]byte("state"), false), end(p))
}
