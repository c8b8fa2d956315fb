// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"lazystate/mtcp/keeper"
	"lazystate/mtcp/keeper/keepertest"
)

const caddyfile = `
{
	admin off
	auto_https off
	log {
		level ERROR
	}
}
http://:%s {
	bind scd/127.0.0.1
	route {
		sessions
		file_server {
			root %s
		}
	}
}
`

func TestMain(m *testing.M) { keepertest.Main(m, run) }

// run is Caddy with a Caddyfile.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	text, err := os.ReadFile(args[1])
	if err == nil {
		var config []byte
		if config, _, err = caddyconfig.GetAdapter("caddyfile").Adapt(text, nil); err == nil {
			err = caddy.Load(config, true)
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	<-ctx.Done()
	return 0
}

// curl downloads a file from Caddy, which is killed in the middle, again and
// again; then it asks for more on the same connection.
func TestCaddyIsKilled(t *testing.T) {
	root := t.TempDir()
	big := bytes.Repeat([]byte("all work and no play makes jack a dull boy\n"), 1<<20)
	for i := 0; i < len(big); i += 4096 {
		copy(big[i:], fmt.Sprint(i)) // so that no two parts are the same
	}
	if err := os.WriteFile(filepath.Join(root, "big"), big, 0o644); err != nil {
		t.Fatal(err)
	}
	s := keepertest.New(t, keeper.Config{})
	t.Setenv("MTCP_KEEPER", s.Socket)
	config := filepath.Join(t.TempDir(), "Caddyfile")
	_, port, _ := bytes.Cut([]byte(s.Addr), []byte(":"))
	if err := os.WriteFile(config, fmt.Appendf(nil, caddyfile, port, root), 0o644); err != nil {
		t.Fatal(err)
	}
	s.Run(config)
	url := "http://" + s.Addr + "/big"
	c := keepertest.NewClient(t, "curl", "-sS", "--fail", "-w", "%{num_connects}", url, "--next", "-sS", "--fail", "-w", "%{num_connects}", url)
	for i := range 2 {
		got := make([]byte, 0, len(big))
		for len(got) < 12<<20 {
			got = append(got, c.Read(3<<20)...)
			s.Process().Kill()
			s.Next()
		}
		got = append(got, c.Read(len(big)-len(got))...)
		if !bytes.Equal(got, big) {
			t.Errorf("download %d: curl has another file", i)
		}
		if n := string(c.Read(1)); n != fmt.Sprint(1-i) {
			t.Errorf("download %d: %s new connections", i, n)
		}
	}
	if rest := c.Rest(); len(rest) > 0 {
		t.Errorf("and %q", rest)
	}
}
