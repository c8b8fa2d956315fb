// SPDX-License-Identifier: Apache-2.0

package meet

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lazystate/dsm"
	"lazystate/tools/bdmon/etcd/etcdtest"
)

// meetings are all kinds; each function returns a view of the same one, as other
// nodes have them.
func meetings(t *testing.T, test func(t *testing.T, view func() Meeting)) {
	t.Run("folder", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "deep", "meet")
		test(t, func() Meeting { return Folder(dir) })
	})
	t.Run("etcd", func(t *testing.T) {
		c := etcdtest.New(t, 1, "http")
		c.Ready()
		test(t, func() Meeting { return Etcd(c.Client(), "/dsm/"+t.Name()+"/") })
	})
}

func TestMeeting(t *testing.T) {
	meetings(t, func(t *testing.T, view func() Meeting) {
		ctx := context.Background()
		here, there := view(), view()
		if p, ok, err := there.Find(ctx, 1); ok || err != nil {
			t.Errorf("nobody was there: %v, %v, %v", p, ok, err)
		}
		for _, p := range []Place{{TCP: "host:1"}, {TCP: "elsewhere:2", Unix: "/tmp/s", Boot: "b"}} {
			if err := here.Tell(ctx, 1, p); err != nil {
				t.Fatal(err)
			}
			if got, ok, err := there.Find(ctx, 1); got != p || !ok || err != nil {
				t.Errorf("%v, %v, %v, not %v", got, ok, err, p)
			}
		}
		if _, ok, err := there.Find(ctx, 11); ok || err != nil {
			t.Errorf("another node: %v, %v", ok, err)
		}
	})
}

// All who ask at once are told the same key, and another one in another run.
func TestKey(t *testing.T) {
	meetings(t, func(t *testing.T, view func() Meeting) {
		var wg sync.WaitGroup
		keys := make([]Key, 8)
		for i := range keys {
			m := view()
			wg.Go(func() {
				var err error
				if keys[i], err = m.Key(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, k := range keys {
			if k != keys[0] || k == (Key{}) {
				t.Errorf("%x", keys)
			}
		}
	})
	one, err := Folder(t.TempDir()).Key(context.Background())
	two, err2 := Folder(t.TempDir()).Key(context.Background())
	if one == two || err != nil || err2 != nil {
		t.Errorf("%x, %v, %x, %v", one, err, two, err2)
	}
}

// The key is for this user alone.
func TestKeyIsSecret(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "meet")
	if _, err := Folder(dir).Key(context.Background()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "key"): 0o600} {
		if st, err := os.Stat(name); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}

// What cannot be a meeting, or was written over, is an error or nowhere.
func TestNonsense(t *testing.T) {
	ctx := context.Background()
	m := Folder("/dev/null/no")
	if _, err := m.Key(ctx); err == nil {
		t.Error("a key where nothing can be")
	}
	if err := m.Tell(ctx, 1, Place{}); err == nil {
		t.Error("told where nothing can be")
	}
	dir := t.TempDir()
	m = Folder(dir)
	for name, text := range map[string]string{"node-1": "nonsense", "node-2": string(make([]byte, longest+1)), "key": "0011"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for node := range dsm.NodeID(3) {
		a, err := Address(m, Place{})(node)
		if told := node > 0; a != "" || (err != nil) != told { // nobody has written where node 0 is
			t.Errorf("%v is at %q: %v", node, a, err)
		}
	}
	if k, err := m.Key(ctx); err == nil {
		t.Errorf("%x", k)
	}
}

func TestAddress(t *testing.T) {
	m := Folder(t.TempDir())
	socket := filepath.Join(t.TempDir(), "socket")
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		Place
		want string
	}{
		{Place{TCP: "host:1"}, "host:1"},
		{Place{TCP: "host:1", Unix: socket, Boot: "this boot"}, "unix:" + socket},
		{Place{TCP: "host:1", Unix: socket, Boot: "another"}, "host:1"},
		{Place{TCP: "host:1", Unix: socket + "x", Boot: "this boot"}, "host:1"},
		{Place{TCP: "host:1", RDMA: "roce://10.0.0.1:7"}, "roce://10.0.0.1:7"},
		{Place{TCP: "host:1", RDMA: "roce://10.0.0.1:7", Unix: socket, Boot: "this boot"}, "unix:" + socket},
	} {
		if err := m.Tell(context.Background(), 1, c.Place); err != nil {
			t.Fatal(err)
		}
		here := Place{Boot: "this boot", RDMA: "roce://10.0.0.2:7"}
		if got, err := Address(m, here)(1); got != c.want || err != nil {
			t.Errorf("%+v: %q, not %q: %v", c.Place, got, c.want, err)
		}
		here.RDMA = ""
		if got, err := Address(m, here)(1); err != nil || strings.HasPrefix(got, "roce:") {
			t.Errorf("%+v: %q, and there is no RDMA here", c.Place, got)
		}
	}
}

func TestReached(t *testing.T) {
	own := own("")
	if ip := net.ParseIP(own); own == "" || ip != nil && (ip.IsUnspecified() || ip.IsLoopback()) {
		t.Errorf("this host is reached at %q", own)
	}
	for _, c := range []struct{ listen, name, host string }{
		{"127.0.0.1:0", "", "127.0.0.1"}, {"127.0.0.1:0", "other", "other"}, {"0.0.0.0:0", "", own}, {"0.0.0.0:0", "me", "me"},
	} {
		l, err := net.Listen("tcp", c.listen)
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		if got := Reached(l, c.name); got != net.JoinHostPort(c.host, port) {
			t.Errorf("%+v: %s", c, got)
		}
		l.Close()
	}
}
