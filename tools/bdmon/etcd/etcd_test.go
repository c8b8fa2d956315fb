// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"lazystate/backdoor"
	"lazystate/sensorbox/fleet"
	"lazystate/tools/bdmon/etcd/etcdtest"
)

// member is a Store and what it told.
type member struct {
	*Store
	name  string
	mu    sync.Mutex
	heard map[string]*fleet.Report
	gone  []string
}

// ttl is long enough for a machine that stands still for some seconds.
const ttl = 6 * time.Second

// TestMain lets all tests that wait for the end of a lease do so at once, however
// few CPUs there are.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

var began = time.Now()

func clock() time.Duration { return time.Since(began) }

func join(t *testing.T, cl *clientv3.Client, name string) *member {
	t.Helper()
	m := &member{name: name, heard: map[string]*fleet.Report{}}
	s, err := New(Options{
		Connect: func() (*clientv3.Client, error) { return cl, nil }, Prefix: "/test/", Self: name, TTL: ttl, Clock: clock, Log: slog.New(slog.DiscardHandler),
		Heard: func(_ uint64, r *fleet.Report) { m.mu.Lock(); defer m.mu.Unlock(); m.heard[r.Monitor] = r },
		Gone: func(name, _ string) {
			m.mu.Lock()
			defer m.mu.Unlock()
			delete(m.heard, name)
			m.gone = append(m.gone, name)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Store = s
	t.Cleanup(func() { s.Close() })
	return m
}

func (m *member) hears(name string) *fleet.Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.heard[name]
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// claim tries until it is this monitor's.
func (m *member) claim(t *testing.T, target string, above uint64) uint64 {
	t.Helper()
	var epoch uint64
	var last error
	eventually(t, m.name+" owns "+target, func() bool {
		var until time.Duration
		epoch, until, last = m.Number(context.Background(), target, above)
		return last == nil && until > clock()
	})
	return epoch
}

func report(name string, path fleet.Path) *fleet.Report {
	return &fleet.Report{Version: fleet.ReportVersion, Monitor: name, Lines: []fleet.Line{{Target: "t1", Path: path}}}
}

// Three servers: monitors hear each other, one owns a target at a time, epochs
// rise; a server dies, then the leader; a monitor dies and its keys with it.
func TestThreeServers(t *testing.T) {
	t.Parallel()
	c := etcdtest.New(t, 3, "http")
	admin := c.Ready()
	a, b := join(t, c.Client(), "a"), join(t, c.Client(), "b")
	a.Tell(report("a", fleet.PathGood))
	b.Tell(report("b", fleet.PathFailed))
	eventually(t, "they hear each other", func() bool {
		ra, rb := b.hears("a"), a.hears("b")
		return ra != nil && rb != nil && len(ra.Lines) == 1 && len(rb.Lines) == 1 && rb.Lines[0].Path == fleet.PathFailed
	})
	if a.hears("a") != nil {
		t.Error("a hears itself")
	}
	first := a.claim(t, "t1", 41)
	if first != 42 {
		t.Errorf("epoch %d above 41", first)
	}
	var held *backdoor.OwnedError
	if _, _, err := b.Number(t.Context(), "t1", 0); !errors.As(err, &held) || held.By.Name != "a" || held.By.Epoch != 42 {
		t.Errorf("b claims what a owns: %v", err)
	}
	_, follower := c.Leader(admin)
	follower.Kill()
	b.Tell(report("b", fleet.PathGood))
	eventually(t, "a hears news with two servers of three", func() bool { r := a.hears("b"); return r != nil && r.Lines[0].Path == fleet.PathGood })
	proven(t, a, "t1", first)
	follower.Start(t)
	c.Ready()
	leader, _ := c.Leader(admin)
	leader.Kill()
	eventually(t, "a's claim is proven again under a new leader", func() bool {
		until, err := a.Proof("t1", first)
		return err == nil && until > clock()+time.Second
	})
	// a's process ends without a word: its lease does the rest.
	a.Store.stop()
	died := time.Now()
	second := b.claim(t, "t1", 0)
	if second <= first {
		t.Errorf("epoch %d after %d", second, first)
	}
	t.Logf("replaced %v after its death; its lease is %v", time.Since(died).Round(10*time.Millisecond), ttl)
	eventually(t, "b has missed a", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return slices.Contains(b.gone, "a") })
	if until, err := a.Proof("t1", first); err == nil && until > clock() {
		t.Errorf("a still believes to own it until %v", until-clock())
	}
	if err := b.Abandon(t.Context(), "t1", second); err != nil {
		t.Error(err)
	}
	c2 := join(t, c.Client(), "c")
	if third := c2.claim(t, "t1", 0); third <= second {
		t.Errorf("epoch %d after %d", third, second)
	}
}

// proven watches a claim until its proof has been renewed for another lease: it
// must never run out.
func proven(t *testing.T, m *member, target string, epoch uint64) {
	t.Helper()
	first, err := m.Proof(target, epoch)
	eventually(t, "the claim of "+m.name+" is renewed", func() bool {
		var until time.Duration
		if until, err = m.Proof(target, epoch); err != nil || until <= clock() {
			t.Fatalf("the claim of %s is not proven: %v, %v left", m.name, err, until-clock())
		}
		return until >= first+ttl/2
	})
}

// No quorum: the proof runs out, nothing can be claimed, and nobody hangs. A
// proof is never longer than a lease; how long etcd goes on renewing it depends
// on when its last server notices that it is alone.
func TestNoQuorum(t *testing.T) {
	t.Parallel()
	c := etcdtest.New(t, 3, "http")
	c.Ready()
	a := join(t, c.Client(), "a")
	epoch := a.claim(t, "t1", 0)
	c.Servers[0].Kill()
	c.Servers[1].Kill()
	lost := time.Now()
	eventually(t, "the proof has run out", func() bool {
		until, err := a.Proof("t1", epoch)
		if left := until - clock(); err == nil && left > ttl {
			t.Errorf("proven for another %v; its lease is %v", left, ttl)
		}
		return err != nil || until <= clock()
	})
	t.Logf("owned for %v without etcd", time.Since(lost).Round(10*time.Millisecond))
	began := time.Now()
	if _, _, err := a.Number(t.Context(), "t2", 0); err == nil {
		t.Error("claimed without a quorum")
	}
	if err := a.Abandon(t.Context(), "t1", epoch); err == nil && time.Since(began) > 10*time.Second {
		t.Error("it hangs")
	}
	c.Servers[0].Start(t)
	c.Servers[1].Start(t)
	if again := a.claim(t, "t1", 0); again <= epoch {
		t.Errorf("epoch %d after %d", again, epoch)
	}
}

// A second life, or a namesake, waits until the first one's lease has ended.
func TestNamesake(t *testing.T) {
	t.Parallel()
	c := etcdtest.New(t, 1, "http")
	c.Ready()
	first := join(t, c.Client(), "a")
	first.claim(t, "t1", 0)
	second := join(t, c.Client(), "a")
	time.Sleep(500 * time.Millisecond)
	if _, _, err := second.Number(t.Context(), "t1", 0); !errors.Is(err, errNoLease) {
		t.Errorf("a namesake claims: %v", err)
	}
	proven(t, first, "t1", 1)
	first.Store.stop()
	second.claim(t, "t1", 0)
}

// A claim whose answer is lost keeps nobody out: its key is found and removed.
func TestDebris(t *testing.T) {
	c := etcdtest.New(t, 1, "http")
	admin := c.Ready()
	a, b := join(t, c.Client(), "a"), join(t, c.Client(), "b")
	a.claim(t, "t0", 0) // it has a lease
	lease, _, _ := a.present()
	if _, err := admin.Put(t.Context(), "/test/owners/t1", `{"monitor":"a","epoch":7}`, clientv3.WithLease(lease)); err != nil {
		t.Fatal(err)
	}
	b.claim(t, "t1", 7)
	// An owner whose key an administrator deletes has lost its claim.
	epoch := a.claim(t, "t2", 0)
	if _, err := admin.Delete(t.Context(), "/test/owners/t2"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a has lost its claim", func() bool { _, err := a.Proof("t2", epoch); return errors.Is(err, ErrLost) })
	// What is in etcd may be anybody's.
	for key, value := range map[string]string{
		"/test/monitors/x": "garbage", "/test/monitors/y": `{"v":1,"monitor":"z"}`, "/test/owners/t3": "garbage", "/test/epochs/t4": "many",
	} {
		if _, err := admin.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	for _, target := range []string{"t3", "t4"} {
		if _, _, err := a.Number(t.Context(), target, 0); err == nil {
			t.Errorf("%s was claimed over garbage", target)
		}
	}
	if a.hears("x") != nil || a.hears("z") != nil {
		t.Error("garbage was heard")
	}
}

// Many claim one target at once, again and again: one at a time has it.
func TestClaimRace(t *testing.T) {
	c := etcdtest.New(t, 3, "http")
	c.Ready()
	const claims = 50
	var mu sync.Mutex
	var epochs []uint64
	owner := ""
	enough := func() bool { mu.Lock(); defer mu.Unlock(); return len(epochs) >= claims }
	var wg sync.WaitGroup
	for i := range 4 {
		m := join(t, c.Client(), fmt.Sprintf("m%d", i))
		wg.Go(func() {
			for end := time.Now().Add(time.Minute); !enough() && time.Now().Before(end); {
				epoch, until, err := m.Number(context.Background(), "t1", 0)
				if err != nil || until <= clock() {
					time.Sleep(time.Millisecond)
					continue
				}
				mu.Lock()
				if owner != "" {
					t.Errorf("%s got it while %s has it", m.name, owner)
				}
				owner = m.name
				epochs = append(epochs, epoch)
				mu.Unlock()
				time.Sleep(5 * time.Millisecond)
				mu.Lock()
				owner = ""
				mu.Unlock()
				// Without an answer it is the end of the lease that gives it up.
				if err := m.Abandon(context.Background(), "t1", epoch); err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(epochs) < claims || !slices.IsSorted(epochs) {
		t.Errorf("epochs %v", epochs)
	}
	for i := 1; i < len(epochs); i++ {
		if epochs[i] == epochs[i-1] {
			t.Fatalf("epoch %d twice", epochs[i])
		}
	}
}

// Where no client can be made yet, it is tried again, and the end waits for nobody.
func TestConnectLater(t *testing.T) {
	s, err := New(Options{
		Connect: func() (*clientv3.Client, error) { return nil, errors.New("not yet") }, Prefix: "/", Self: "a", TTL: 2 * time.Second,
		Clock: clock, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Tell(report("a", fleet.PathGood))
	if _, _, err := s.Number(t.Context(), "t1", 0); !errors.Is(err, errNoLease) {
		t.Errorf("claimed: %v", err)
	}
	if err := errors.Join(s.Abandon(t.Context(), "t1", 1), s.Close()); err != nil {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	for _, ttl := range []time.Duration{0, time.Second, 2500 * time.Millisecond} {
		if _, err := New(Options{TTL: ttl}); err == nil {
			t.Errorf("a lease of %v was taken", ttl)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add([]byte(`{"monitor":"a","epoch":7}`))
	f.Add([]byte(`{"epoch":-1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := decodeEntry(b); err == nil && len(b) > longestEntry {
			t.Errorf("%+v of %d bytes", e, len(b))
		}
	})
}
