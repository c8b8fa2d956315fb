// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	ucli "github.com/urfave/cli/v2"

	"lazystate/dsm"
	"lazystate/dsm/pager"
	"lazystate/internal/cli"
)

// parse reads a command line; out is what went wrong.
func parse(args ...string) (s Settings, code int, out string) {
	var stderr bytes.Buffer
	app := &ucli.App{Name: "test", Flags: Flags(), Action: func(c *ucli.Context) (err error) {
		if s, err = Of(c); err != nil {
			return err
		}
		return s.Check()
	}}
	code = cli.Main(context.Background(), app, append([]string{"test"}, args...), strings.NewReader(""), io.Discard, &stderr)
	return s, code, stderr.String()
}

func TestOf(t *testing.T) {
	s, code, out := parse("-n", "4", "--region", "1M", "--locks", "7", "--logs", "10", "--every", "3s", "--aligned", "--collect", "5ms", "--copy", "a", "--copy", "b", "--dir", "d")
	if code != cli.OK {
		t.Fatal(out)
	}
	if s.Core.Nodes != 4 || s.Core.Pages != 256 || s.Core.Locks != 7 || s.Policy.Logs != 0.1 || s.Policy.Every != 3*time.Second || !s.Policy.Aligned {
		t.Errorf("%+v", s)
	}
	if s.Dir != "d" || len(s.Copies) != 2 || s.Core.Home != nil || s.Core.PerPage {
		t.Errorf("%+v", s)
	}
	cfg, err := s.Node(2, slog.New(slog.DiscardHandler))
	if err != nil && !errors.Is(err, pager.ErrNotSupported) || cfg.Core.Self != 2 || cfg.Collect != 5*time.Millisecond {
		t.Errorf("%+v, %v", cfg, err)
	}
}

func TestMisuse(t *testing.T) {
	for _, args := range [][]string{
		{}, {"-n", "0"}, {"-n", "2", "--region", "0"}, {"-n", "2", "--region", "12X"}, {"-n", "2", "--homes", "here"},
		{"-n", "2", "--writes", "never"}, {"-n", "2", "--logs", "-1"}, {"-n", "2", "--every", "-1s"}, {"-n", "2", "--collect", "0s"}, {"-n", "2", "--locks", "-1"}, {"-n", "2", "--ahead", "-1"}, {"-n", "2", "--silence", "0s"}, {"-n", "2", "--unlogged", "--every", "1s"}, {"-n", "2", "--etcd", "http://127.0.0.1:1"},
	} {
		if _, code, out := parse(args...); code != cli.Usage {
			t.Errorf("%v: exit %d, %s", args, code, out)
		}
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]int{"1": 1, "512": 512, "64K": 64 << 10, "3M": 3 << 20, "2G": 2 << 30} {
		if got, err := Bytes(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "K", "0", "0M", "-1", "1T", "1KM", "K1", "99999999999999999999", "9223372036854775807K"} {
		if got, err := Bytes(text); err == nil {
			t.Errorf("%s: %d", text, got)
		}
	}
}

// Each page has one home, and each node some pages.
func TestHomes(t *testing.T) {
	for _, how := range []string{"block", "cyclic"} {
		for _, nodes := range []int{1, 2, 3, 7} {
			home, err := homes(how, dsm.Config{Nodes: nodes, Pages: 20})
			if err != nil {
				t.Fatal(err)
			}
			have := map[dsm.NodeID]int{}
			for p := range dsm.Page(20) {
				i, ok := home(p)
				if !ok || int(i) >= nodes {
					t.Errorf("%s: page %d is at %v of %d", how, p, i, nodes)
				}
				have[i]++
			}
			if len(have) != nodes {
				t.Errorf("%s, %d nodes: %v", how, nodes, have)
			}
		}
	}
}
