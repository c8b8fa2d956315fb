// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lazystate/internal/netrig"
	"lazystate/internal/seqnum"
	"lazystate/mtcp/wire"
)

// rigged is a connection of a client with an agent, planted at both ends.
type rigged struct {
	net3
	a    *Agent
	f    Flow
	to   Flow // on the wire, once it has moved
	c, s *net.TCPConn
}

func newRigged(t *testing.T, cfg Config) *rigged {
	t.Helper()
	n := newNet3(t)
	r := &rigged{net3: n, a: open(t, n.client, cfg)}
	r.f = Flow{netip.AddrPortFrom(clientV4, 40000), netip.AddrPortFrom(s1V4, 80)}
	r.to = Flow{netip.AddrPortFrom(clientV4, 40001), netip.AddrPortFrom(s2V4, 8080)}
	r.c = plant(t, n.client, half{r.f.Local, r.f.Remote, 1000, 2000})
	r.s = plant(t, n.s1, half{r.f.Remote, r.f.Local, 2000, 1000})
	return r
}

func (r *rigged) begin(t *testing.T, limit time.Duration) Numbers {
	t.Helper()
	var n Numbers
	r.client.Do(func() (err error) {
		n, err = r.a.Begin(r.f, Try{Server: r.to.Remote, Local: r.to.Local, For: limit})
		return err
	})
	return n
}

func (r *rigged) state(t *testing.T) State {
	t.Helper()
	s, err := r.a.Session(r.f)
	if err != nil && !errors.Is(err, ErrNoSession) {
		t.Fatal(err)
	}
	return s.State
}

// silent reports that nothing comes for a while.
func silent(t *testing.T, c *net.TCPConn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d bytes came, %v", n, err)
	}
	if err := c.SetReadDeadline(time.Now().Add(hang)); err != nil {
		t.Fatal(err)
	}
}

// MIGRATING (§2.5.2): the client still gets what S1 sends, S1 gets nothing; what
// S1 acknowledges stays hidden. Then S2 refuses, and all goes on with S1.
func TestMigratingAndFallBack(t *testing.T) {
	r := newRigged(t, Config{})
	n := r.begin(t, hang)
	if n.SndUna != 1000 || n.SndNxt != 1000 || n.RcvNxt != 2000 || r.state(t) != Migrating {
		t.Fatalf("%+v, %s", n, r.state(t))
	}
	if _, err := r.c.Write([]byte("up")); err != nil {
		t.Fatal(err)
	}
	silent(t, r.s)
	if _, err := r.s.Write([]byte("down")); err != nil {
		t.Fatal(err)
	}
	if b := make([]byte, 4); !reads(t, r.c, b) || string(b) != "down" {
		t.Fatalf("the client got %q", b)
	}
	if err := r.a.FallBack(r.f); err != nil {
		t.Fatal(err)
	}
	if b := make([]byte, 2); !reads(t, r.s, b) || string(b) != "up" {
		t.Fatalf("S1 got %q", b)
	}
	if r.state(t) != Off {
		t.Errorf("%s after falling back", r.state(t))
	}
	exchange(t, r.c, r.s, 1<<20)
	if st, err := r.a.Stats(); err != nil || st.DataHeld == 0 || st.Opened != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

// An agent that dies in the middle of a move holds the client up for a while and
// not for ever; a later move is a new one.
func TestMigratingEndsByItself(t *testing.T) {
	r := newRigged(t, Config{})
	r.begin(t, 300*time.Millisecond)
	if _, err := r.c.Write([]byte("up")); err != nil {
		t.Fatal(err)
	}
	if b := make([]byte, 2); !reads(t, r.s, b) || string(b) != "up" {
		t.Fatalf("S1 got %q", b)
	}
	var state *StateError
	r.client.Do(func() error {
		if _, err := r.a.Switch(r.f, Shift{}); !errors.As(err, &state) || state.State != Migrating {
			t.Errorf("switch after the time: %v", err)
		}
		return nil
	})
	if st, err := r.a.Stats(); err != nil || st.Expired == 0 {
		t.Errorf("%+v, %v", st, err)
	}
	r.begin(t, hang)
	if r.state(t) != Migrating {
		t.Errorf("%s after a second begin", r.state(t))
	}
}

// What must not be done is refused, and leaves things as they are.
func TestWhatASessionRefuses(t *testing.T) {
	r := newRigged(t, Config{})
	other := Flow{r.to.Local, r.f.Remote}
	r.client.Do(func() error {
		for name, c := range map[string]struct {
			err  error
			want error
		}{
			"fall back of none":  {r.a.FallBack(r.f), ErrNoSession},
			"begin of none":      {second(r.a.Begin(other, Try{Server: r.to.Remote})), ErrNoSocket},
			"begin to itself":    {second(r.a.Begin(r.f, Try{Server: r.f.Remote})), ErrTaken},
			"switch of none":     {second(r.a.Switch(r.f, Shift{})), ErrNoSession},
			"forget of none":     {r.a.Forget(r.f), nil},
			"query of none":      {second(r.a.Query(other)), ErrNoSocket},
			"hold of two worlds": {second(0, (&Server{}).Hold(Flow{r.f.Local, netip.MustParseAddrPort("[::1]:5")}, Early, 0)), nil},
		} {
			if name == "hold of two worlds" {
				if c.err == nil {
					t.Errorf("%s: no error", name)
				}
			} else if !errors.Is(c.err, c.want) {
				t.Errorf("%s: %v, want %v", name, c.err, c.want)
			}
		}
		return nil
	})
	if all, err := r.a.Sessions(); err != nil || len(all) != 0 {
		t.Fatalf("%+v, %v", all, err)
	}
	r.begin(t, hang)
	r.client.Do(func() error {
		if err := second(r.a.Begin(r.f, Try{Server: r.to.Remote})); !errors.Is(err, ErrState) {
			t.Errorf("a second begin: %v", err)
		}
		return nil
	})
	exchange(t, plant(t, r.client, half{other.Local, other.Remote, 7, 7}), plant(t, r.s1, half{other.Remote, other.Local, 7, 7}), 1000)
}

func second[T any](_ T, err error) error { return err }

// bpffs mounts a BPF file system for a test.
func bpffs(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bpf")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return filepath.Join(dir, "agent")
}

// A session that has moved goes on while no agent runs, and the next agent knows
// it; Clean leaves nothing.
func TestPinnedSessionsOutliveTheAgent(t *testing.T) {
	for _, hook := range []Hook{TCX, Clsact} {
		t.Run(hook.String(), func(t *testing.T) {
			if hook == TCX && !haveTCX(t) {
				t.Skip("this kernel has no TCX (since 6.6)")
			}
			r := newRigged(t, Config{Hook: hook, Pin: bpffs(t)})
			s2 := plant(t, r.s2, half{r.to.Remote, r.to.Local, 2000, 1000})
			r.begin(t, hang)
			r.client.Do(func() error { _, err := r.a.Switch(r.f, Shift{}); return err })
			if _, err := s2.Write([]byte("!")); err != nil || !reads(t, r.c, make([]byte, 1)) {
				t.Fatal(err)
			}
			first := r.a
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			exchange(t, r.c, s2, 1<<20)
			cfg := first.cfg
			r.a = open(t, r.client, cfg)
			first.cfg.Pin = "" // its own Close, at the end of the test, has been
			if got, err := r.a.Session(r.f); err != nil || got.State != Moved || got.Wire != r.to {
				t.Fatalf("%+v, %v", got, err)
			}
			if len(r.a.flows[r.f]) != 1 {
				t.Errorf("recalled %+v", r.a.flows)
			}
			exchange(t, r.c, s2, 1<<20)
			if err := r.a.Forget(r.f); err != nil {
				t.Fatal(err)
			}
			r.client.Do(func() error { return Clean(cfg.Pin, netrig.Dev) })
			if _, err := os.Stat(cfg.Pin); !os.IsNotExist(err) {
				t.Errorf("%s is left: %v", cfg.Pin, err)
			}
			clean(t, r.client)
		})
	}
}

// haveTCX goes by the kernel's version, so that a newer one that fails is seen to.
func haveTCX(t *testing.T) bool {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	return major > 6 || major == 6 && minor >= 6
}

// clean checks that no program and no clsact is left at a host's interface.
func clean(t *testing.T, h *netrig.Host) {
	t.Helper()
	h.Do(func() error {
		l, err := netlink.LinkByName(netrig.Dev)
		if err != nil {
			return err
		}
		qs, err := netlink.QdiscList(l)
		for _, q := range qs {
			if q.Type() == "clsact" {
				err = errors.Join(err, fmt.Errorf("%v is left", q))
			}
		}
		return err
	})
}

// What Close leaves without Pin: nothing.
func TestCloseLeavesNothing(t *testing.T) {
	n := newNet3(t)
	for _, hook := range []Hook{Auto, Clsact} {
		var a *Agent
		n.client.Do(func() (err error) {
			a, err = Open(Config{Interfaces: []string{netrig.Dev}, Hook: hook})
			return err
		})
		if want := hook; want == Clsact && a.Hook() != Clsact || a.Hook() == Auto {
			t.Errorf("%s became %s", hook, a.Hook())
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		clean(t, n.client)
	}
	n.client.Do(func() error {
		if a, err := Open(Config{Interfaces: []string{"eth7"}}); err == nil {
			return errors.Join(errors.New("attached to an interface that is not there"), a.Close())
		}
		return nil
	})
}

// An advice reaches the agent and not the client's TCP, a refusal S1's side and
// not its TCP; so does what comes later of the offer.
func TestAdviceAndRefusal(t *testing.T) {
	r := newRigged(t, Config{})
	srv := serve(t, r.s1, Service{Listen: r.f.Remote, Offers: true})
	down, up := sender(t, r.s1), sender(t, r.client)
	cert := wire.Certificate{1, 2, 3}
	say := func(h *netrig.Host, out *Sender, f Flow, o wire.Option) {
		t.Helper()
		s := wire.Segment{Src: f.Local, Dst: f.Remote, Seq: 1, Ack: 1, Flags: wire.ACK, Window: 1}
		var err error
		if s.Options, err = wire.Append(nil, o); err != nil {
			t.Fatal(err)
		}
		h.Do(func() error { return out.Send(s) })
	}
	advice := wire.MigrateAdvise{N: 1, Reason: wire.ReasonDrain, Cert: cert, Target: r.to.Remote}
	say(r.s1, down, Flow{r.f.Remote, r.f.Local}, advice)
	if e := event(t, r.a.source, Option); e.Flow != r.f || e.Segment.Migration() != wire.Option(advice) {
		t.Errorf("the agent was told %+v", e)
	}
	refusal := wire.MigrateRefuse{N: 1, Reason: wire.ReasonPolicy, Cert: cert}
	say(r.client, up, r.f, refusal)
	if e := event(t, srv.source, Option); e.Flow != (Flow{r.f.Remote, r.f.Local}) || e.Segment.Migration() != wire.Option(refusal) {
		t.Errorf("S1 was told %+v", e)
	}
	before := infoOf(t, r.c)
	say(r.s1, down, Flow{r.f.Remote, r.f.Local}, wire.Offer{Part: 1, Parts: 2, Cert: cert, Servers: []netip.AddrPort{r.to.Remote}})
	event(t, r.a.source, Option)
	if after := infoOf(t, r.c); after.Segs_in != before.Segs_in {
		t.Errorf("the client's TCP has seen %d segments", after.Segs_in-before.Segs_in)
	}
	exchange(t, r.c, r.s, 1<<16)
}

// infoOf is what a socket has heard and said.
func infoOf(t *testing.T, c *net.TCPConn) (info *unix.TCPInfo) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if e := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	return info
}

func plus(a netip.AddrPort, n int) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), a.Port()+uint16(n))
}

func seq(n uint32) seqnum.Value { return seqnum.Value(n) }

// A client that gives up while its session moves tells its agent; sessions whose
// connections are gone are swept.
func TestAbortAndSweep(t *testing.T) {
	r := newRigged(t, Config{})
	r.begin(t, hang)
	if err := r.c.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	r.c.Close() // RST
	if e := event(t, r.a.source, Abort); e.Flow != r.f || e.Segment.Flags&wire.RST == 0 {
		t.Errorf("told %+v", e)
	}
	if n, err := r.s.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("S1 got %d, %v", n, err)
	}
	r.client.Do(func() error {
		n, err := r.a.Sweep(time.Hour)
		if n != 1 || r.state(t) != Off {
			t.Errorf("swept %d", n)
		}
		return err
	})
}

// A session for which there is no room stays where it is, its agent is told why, and
// nothing of it is left in a table that is full already.
func TestTablesAreFull(t *testing.T) {
	r := newRigged(t, Config{Sessions: 1})
	other := Flow{netip.AddrPortFrom(clientV4, 40010), netip.AddrPortFrom(s1V4, 80)}
	to := Try{Server: r.to.Remote, Local: netip.AddrPortFrom(clientV4, 40011), For: hang}
	c, s := plant(t, r.client, half{other.Local, other.Remote, 1000, 2000}), plant(t, r.s1, half{other.Remote, other.Local, 2000, 1000})
	begin := func() (err error) {
		r.client.Do(func() error { _, err = r.a.Begin(other, to); return nil })
		return err
	}
	wires := func() (n int) {
		var f bpfFlow
		var w bpfWire
		for it := r.a.wires.Iterate(); it.Next(&f, &w); {
			n++
		}
		return n
	}
	r.begin(t, hang)
	if err := begin(); !errors.Is(err, ErrFull) || wires() != 2 {
		t.Errorf("beside another session: %v, %d flows", err, wires())
	}
	exchange(t, c, s, 1<<16)
	if err := r.a.FallBack(r.f); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := r.a.putWire(Flow{plus(to.Local, 1+i), to.Server}, r.f, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := begin(); !errors.Is(err, ErrFull) || wires() != 3 {
		t.Errorf("beside three of four flows: %v, %d flows", err, wires())
	}
	for i := range 3 {
		if err := remove(r.a.wires, Flow{plus(to.Local, 1+i), to.Server}); err != nil {
			t.Fatal(err)
		}
	}
	if err := begin(); err != nil {
		t.Errorf("there is room again: %v", err)
	}
}
