// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lazystate/mtcp/keeper"
	"lazystate/mtcp/keeper/keepertest"
	"lazystate/tools/testbed"
	"lazystate/tools/testbed/bedtest"
)

func TestMain(m *testing.M) { keepertest.Main(m, run, testbed.Done) }

// published is a server, and the one large file of its root.
func published(t *testing.T) (*keepertest.Service, []byte) {
	t.Helper()
	s := keepertest.New(t, keeper.Config{})
	folders, big := pages(t)
	s.Run(append(folders, "--keeper", s.Socket, "--listen", s.Addr)...)
	return s, big
}

// pages are what a server publishes, as it is told of them, and the one large file.
func pages(t *testing.T) (args []string, big []byte) {
	t.Helper()
	root, programs := t.TempDir(), t.TempDir()
	big = make([]byte, 48<<20)
	for i, rng := 0, rand.New(rand.NewPCG(1, 2)); i < len(big); i += 8 {
		for j, v := 0, rng.Uint64(); j < 8; j, v = j+1, v>>8 {
			big[i+j] = byte(v)
		}
	}
	write(t, filepath.Join(root, "big"), big, 0o644)
	write(t, filepath.Join(programs, "who"), []byte("#!/bin/sh\necho 'Content-Type: text/plain'\necho\nfor i in 1 2 3; do echo $$; done\ncat\n"), 0o755)
	return []string{"--root", root, "--cgi", programs}, big
}

func write(t *testing.T, name string, b []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, b, mode); err != nil {
		t.Fatal(err)
	}
}

// Stock clients download a file of which the server is interrupted again and
// again. The file is larger than all buffers, so the server is at it.
func TestDownload(t *testing.T) {
	keepertest.Each(t, func(t *testing.T, interrupt func(*keepertest.Service)) {
		s, big := published(t)
		for _, client := range [][]string{{"curl", "-sS", "-o", "-"}, {"wget", "-q", "--tries=1", "-O", "-"}} {
			c := keepertest.NewClient(t, client[0], append(client[1:], "http://"+s.Addr+"/big")...)
			sum := sha256.New()
			rng := rand.New(rand.NewPCG(3, 4))
			for range 8 {
				sum.Write(c.Read(1 + rng.IntN(4<<20)))
				interrupt(s)
			}
			sum.Write(c.Rest())
			if want := sha256.Sum256(big); !bytes.Equal(sum.Sum(nil), want[:]) {
				t.Errorf("%s has another file", client[0])
			}
		}
	})
}

// Stock clients download a file while their session goes from one machine to the other
// and back, again and again.
func TestDownloadBetweenMachines(t *testing.T) {
	folders, big := pages(t)
	want := sha256.Sum256(big)
	bedtest.Each(t, "web", func(t *testing.T, b *bedtest.Bed) {
		b.Serve(testbed.Self, append(folders, "--keeper", "KEEPER", "--listen", "0.0.0.0:PORT")...)
		for _, client := range [][]string{{"curl", "-sS", "-o", "-"}, {"wget", "-q", "--tries=1", "-O", "-"}} {
			c := b.Client(client[0], append(client[1:], "http://"+b.Addr()+"/big")...)
			sum := sha256.New()
			rng := rand.New(rand.NewPCG(3, 4))
			for range 5 {
				sum.Write(c.Read(1 + rng.IntN(4<<20)))
				b.Hop()
			}
			sum.Write(c.Rest())
			if !bytes.Equal(sum.Sum(nil), want[:]) {
				t.Errorf("%s has another file", client[0])
			}
		}
	})
}

// A page that is made of a choice, and one that a program makes, whose sessions move
// between two of the requests of one connection.
func TestConversationBetweenMachines(t *testing.T) {
	folders, big := pages(t)
	bedtest.Each(t, "web", func(t *testing.T, b *bedtest.Bed) {
		b.Serve(testbed.Self, append(folders, "--keeper", "KEEPER", "--listen", "0.0.0.0:PORT")...)
		const rounds = 4
		var args []string
		for i := range rounds {
			if i > 0 {
				args = append(args, "--next")
			}
			args = append(args, "-sS", "--fail", "http://"+b.Addr()+"/lottery",
				"--next", "-sS", "--fail", "--data-binary", "form\n", "http://"+b.Addr()+"/cgi-bin/who",
				"--next", "-sS", "--fail", "-w", "%{num_connects}\n", "http://"+b.Addr()+"/big")
		}
		c := b.Client("curl", args...)
		for i := range rounds {
			if first, second := line(c), line(c); first != second || len(first) < 10 {
				t.Fatalf("round %d: one lottery, two numbers: %s and %s", i, first, second)
			}
			if x, y, z, form := line(c), line(c), line(c), line(c); x != y || y != z || form != "form" {
				t.Fatalf("round %d: the program answers %s, %s, %s and was sent %q", i, x, y, z, form)
			}
			got := c.Read(1 << 20)
			b.Hop()
			if got = append(got, c.Read(len(big)-len(got))...); !bytes.Equal(got, big) {
				t.Fatalf("round %d: another file", i)
			}
			if n := line(c); n != "0" {
				t.Fatalf("round %d: %s new connections", i, n)
			}
		}
		c.Rest()
	})
}

// One connection, many requests: files, forms, programs, and pages that show a
// number twice, which the client must never see to differ.
func TestConversation(t *testing.T) {
	keepertest.Each(t, func(t *testing.T, interrupt func(*keepertest.Service)) {
		s, big := published(t)
		const rounds = 30
		args := []string{"-sS", "--fail", "-w", "%{num_connects} %{http_code}\n"}
		for i := range rounds {
			if i > 0 {
				args = append(args, "--next", "-sS", "--fail", "-w", "%{num_connects} %{http_code}\n")
			}
			switch i % 3 {
			case 0:
				args = append(args, "http://"+s.Addr+"/lottery")
			case 1:
				args = append(args, "--data-binary", fmt.Sprintf("form %d", i), "http://"+s.Addr+"/cgi-bin/who")
			case 2:
				args = append(args, "-r", "0-2097151", "http://"+s.Addr+"/big")
			}
		}
		c := keepertest.NewClient(t, "curl", args...)
		for i := range rounds {
			switch i % 3 {
			case 0:
				if first, second := line(c), line(c); first != second || len(first) < 10 {
					t.Fatalf("round %d: one lottery, two numbers: %s and %s", i, first, second)
				}
			case 1:
				if a, b, d := line(c), line(c), line(c); a != b || b != d {
					t.Fatalf("round %d: three programs answer: %s, %s, %s", i, a, b, d)
				}
				if got, want := string(c.Read(len("form 10")-btoi(i < 10))), fmt.Sprintf("form %d", i); got != want {
					t.Fatalf("round %d: the program was sent %q, not %q", i, got, want)
				}
			case 2:
				got := c.Read(1 << 20)
				interrupt(s)
				if got = append(got, c.Read(1<<20)...); !bytes.Equal(got, big[:2<<20]) {
					t.Fatalf("round %d: another part of a file", i)
				}
			}
			if got, code := line(c), 200+6*btoi(i%3 == 2); got != fmt.Sprintf("%d %d", btoi(i == 0), code) {
				t.Fatalf("round %d: new connections and code: %s", i, got)
			}
		}
		c.Rest()
	})
}

func line(c *keepertest.Client) string {
	var b strings.Builder
	for {
		ch := c.Read(1)[0]
		if ch == '\n' {
			return b.String()
		}
		b.WriteByte(ch)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
