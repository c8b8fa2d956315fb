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
	"lazystate/tools/testbed"
	"lazystate/tools/testbed/bedtest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	cboxtest.Clean()
	testbed.Done()
	os.Exit(code)
}

// published is a folder with a large file.
func published(t *testing.T, size int) (folder string, big []byte) {
	t.Helper()
	folder, big = t.TempDir(), make([]byte, size)
	for i, rng := 0, rand.New(rand.NewPCG(1, 1)); i < len(big); i++ {
		big[i] = byte(rng.Uint32())
	}
	if err := os.WriteFile(filepath.Join(folder, "big"), big, 0o644); err != nil {
		t.Fatal(err)
	}
	return folder, big
}

// curl downloads from a server in C whose session goes from one machine to the other and
// back.
func TestDownloadBetweenMachines(t *testing.T) {
	server := cboxtest.Program(t, "c/files.c", cboxtest.Sanitized)
	folder, big := published(t, 40<<20)
	bedtest.Each(t, "files", func(t *testing.T, b *bedtest.Bed) {
		b.Serve(server, "KEEPER", "PORT", folder, "0.0.0.0")
		c := b.Client("curl", "-sS", "--fail", "http://"+b.Addr()+"/big")
		var got []byte
		for rng := rand.New(rand.NewPCG(2, 2)); len(got) < len(big)/2; b.Hop() {
			got = append(got, c.Read(1+rng.IntN(6<<20))...)
		}
		if got = append(got, c.Rest()...); !bytes.Equal(got, big) {
			t.Errorf("curl has another file, of %d bytes", len(got))
		}
	})
}

// curl downloads from a server in C that is killed, again and again.
func TestDownload(t *testing.T) {
	server := cboxtest.Program(t, "c/files.c", cboxtest.Sanitized)
	folder, big := published(t, 16<<20)
	rng := rand.New(rand.NewPCG(1, 1))
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
