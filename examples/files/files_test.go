// SPDX-License-Identifier: Apache-2.0

package files

import (
	"bytes"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"lazystate/mtcp/cbox/cboxtest"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/keeper/keepertest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	cboxtest.Clean()
	os.Exit(code)
}

// curl downloads from a server in C that is killed, again and again.
func TestDownload(t *testing.T) {
	server := cboxtest.Program(t, "c/files.c", cboxtest.Sanitized)
	folder := t.TempDir()
	big := make([]byte, 16<<20)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range big {
		big[i] = byte(rng.Uint32())
	}
	if err := os.WriteFile(filepath.Join(folder, "big"), big, 0o644); err != nil {
		t.Fatal(err)
	}
	s := keepertest.New(t, keeper.Config{})
	_, port, _ := net.SplitHostPort(s.Addr)
	next := func() *keepertest.Process {
		return keepertest.Go(t, exec.Command(server, s.Socket, port, folder))
	}
	p := next()
	c := keepertest.NewClient(t, "curl", "-sS", "--fail", "--retry", "100", "--retry-delay", "1", "--retry-connrefused", "http://"+s.Addr+"/big")
	var got []byte
	for range 10 {
		got = append(got, c.Read(1+rng.IntN(1<<20))...)
		p.Kill()
		p = next()
	}
	if got = append(got, c.Rest()...); !bytes.Equal(got, big) {
		t.Errorf("curl has another file, of %d bytes", len(got))
	}
	for path, want := range map[string]string{"nothing": "404", "../etc/passwd": "404", "": "404", "big": "200"} {
		c := keepertest.NewClient(t, "curl", "-sS", "--path-as-is", "-o", os.DevNull, "-w", "%{http_code}", "http://"+s.Addr+"/"+path)
		if got := string(c.Rest()); got != want {
			t.Errorf("%q: %s, want %s", path, got, want)
		}
	}
}
