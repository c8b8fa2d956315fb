// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/party"
)

// goes is an address that can leave.
type goes struct{ gone int }

func (g *goes) place() []byte  { return nil }
func (g *goes) prefix() string { return "127.0.0.1/8" }
func (g *goes) commit() error  { g.gone++; return nil }
func (g *goes) undo() error    { return nil }
func (g *goes) done() error    { return nil }

// A process accepts a connection before the address is guarded and says so when all
// others are captured already: the address does not go without it.
func TestOneComesMeanwhile(t *testing.T) {
	m := lone(t)
	path := keeping(t, m)
	m.cfg.Services = []Service{{Name: "web", UID: uint32(os.Getuid())}}
	address := &goes{}
	s := &sourceMove{source: source{m: m, id: ID{1}}, proposal: proposal{way: ByTakeover, addr: netip.MustParseAddr("127.0.0.1")}, leaving: address,
		looked: map[cbox.ID]struct{}{}}
	if err := m.journal.draft(s.id, s.parting()); err != nil {
		t.Fatal(err)
	}
	late := accepted(t, path)
	if err := s.commit(); err == nil || !strings.Contains(err.Error(), "has come meanwhile") || address.gone > 0 {
		t.Errorf("it goes %d times: %v", address.gone, err)
	}
	s.looked[late.ID()] = struct{}{}
	if err := s.commit(); err != nil || address.gone != 1 {
		t.Errorf("all are captured; it goes %d times: %v", address.gone, err)
	}
}

// When the other server has given up, nothing more is frozen for it.
func TestFrozenForTooLong(t *testing.T) {
	m := lone(t)
	m.cfg.Timing = party.Defaults
	path := keeping(t, m)
	accepted(t, path)
	i := only(t, m.cfg.Keeper)
	m.cfg.Services = []Service{{Name: i.Name, UID: i.UID, Listen: i.Local}}
	s := &sourceMove{source: source{m: m}, proposal: proposal{way: ByTakeover, addr: i.Local.Addr()}, frozen: time.Now().Add(-time.Hour)}
	if err := s.captureAll(); err == nil || len(s.captured) > 0 || !strings.Contains(err.Error(), "waits no longer") {
		t.Errorf("%d are captured: %v", len(s.captured), err)
	}
}

// keeping gives a mover a keeper, until the test ends, and returns where it listens.
func keeping(t testing.TB, m *Mover) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "scd")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	m.cfg.Keeper = keeper.New(keeper.Config{Log: slog.New(slog.DiscardHandler)})
	m.tasks.Go(func() {
		if err := m.cfg.Keeper.Serve(l); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		m.cfg.Keeper.Close()
		m.tasks.Wait()
	})
	return path
}

// accepted is a session of this process with itself, kept at a keeper.
func accepted(t testing.TB, path string) *cbox.Conn {
	t.Helper()
	c, err := keeper.Dial(path, "web")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	l, err := cbox.Listen(t.Context(), "tcp", "127.0.0.1:0", c.Config(cbox.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s, ok := conn.(*cbox.Conn)
	if !ok {
		t.Fatal("the keeper does not keep it")
	}
	t.Cleanup(s.Abandon)
	return s
}
