// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lazystate/internal/goprogram"
	"lazystate/internal/leash"
	"lazystate/mtcp/cbox/cboxtest"
)

// program is a server that nobody has changed for this: its command, where @K is
// the keeper's socket, @L where it listens, @P the port alone and @D the folder of files.
type program struct {
	argv  []string
	ask   string
	first int // bytes that the client has when the machine dies
	rest  int // that it reads then; 0: to the end
}

// run has it serve at a host until the test ends.
func (s *server) run(p program, folder string) {
	s.w.t.Helper()
	at := netip.AddrPortFrom(netip.IPv4Unspecified(), port).String()
	var argv []string
	for _, a := range p.argv {
		argv = append(argv, strings.NewReplacer("@K", s.path, "@L", at, "@P", "8000", "@D", folder).Replace(a))
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	var said bytes.Buffer
	cmd.Stderr = &said
	wait, err := leash.StartOn(s.Try, cmd, syscall.SIGKILL)
	s.w.must(err)
	s.w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = wait()
		if s.w.t.Failed() {
			s.w.t.Logf("%s at %s said: %s", argv[0], s.Name, said.String())
		}
	})
	for end := time.Now().Add(hang); ; time.Sleep(10 * time.Millisecond) {
		var open bool
		s.Do(func() error {
			for _, f := range []string{"tcp", "tcp6"} {
				b, err := os.ReadFile("/proc/thread-self/net/" + f)
				if err != nil {
					return err
				}
				open = open || strings.Contains(string(b), ":1F40 ") && strings.Contains(string(b), " 0A ") // port 8000, LISTEN
			}
			return nil
		})
		if open {
			return
		}
		if time.Now().After(end) {
			s.w.t.Fatalf("%s does not listen: %s", argv[0], said.String())
		}
	}
}

// The servers of sessions are salvaged as they are: files by net/http and in C,
// music without end. curl notices nothing.
func TestServers(t *testing.T) {
	bin, folder := t.TempDir(), t.TempDir()
	if err := goprogram.Build(t.Context(), bin, "lazystate/examples/web", "lazystate/examples/audio"); err != nil {
		t.Fatal(err)
	}
	file := make([]byte, 24<<20) // more than fits into two kernels, whose buffers may be 6 and 4 MB: else the server is done with it
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(file)
	music := file[:100_000]
	for name, b := range map[string][]byte{"file": file, "music.mp3": music} {
		if err := os.WriteFile(filepath.Join(folder, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, p := range map[string]program{
		"web":   {argv: []string{bin + "/web", "--keeper", "@K", "--listen", "@L", "--root", "@D"}, ask: "/file", first: 1 << 20},
		"in C":  {argv: []string{cboxtest.Program(t, "../../examples/files/c/files.c", cboxtest.Plain), "@K", "@P", "@D", "0.0.0.0"}, ask: "/file", first: 1 << 20},
		"audio": {argv: []string{bin + "/audio", "--keeper", "@K", "--listen", "@L", "--kbit", "4096", "@D/music.mp3"}, ask: "/", first: 300_000, rest: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "ipv4")
			w.client.Sysctl("net/ipv4/tcp_rmem", "4096 131072 6291456") // it may be 32 MB where the kernel is new
			w.s1.run(p, folder)
			w.s2.run(p, folder)
			curl := exec.Command("curl", "-sSN", "--fail", "--max-time", "110", "http://"+w.at().String()+p.ask)
			var said bytes.Buffer
			curl.Stderr = &said
			out, err := curl.StdoutPipe()
			w.must(err)
			w.client.Do(curl.Start)
			defer func() { _ = curl.Process.Kill(); _ = curl.Wait() }()
			got := make([]byte, p.first)
			if _, err := io.ReadFull(out, got); err != nil {
				t.Fatalf("before: %v: %s", err, said.String())
			}
			w.die(nil)
			r := w.salvage()
			if r.Saved() != 1 {
				t.Fatalf("%+v", r.Sessions)
			}
			want := file
			if p.rest == 0 {
				var rest []byte
				rest, err = io.ReadAll(out)
				got = append(got, rest...)
			} else {
				rest := make([]byte, p.rest)
				_, err = io.ReadFull(out, rest)
				got = append(got, rest...)
				want = bytes.Repeat(music, len(got)/len(music)+1)[:len(got)]
			}
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, or others: %v: %s", len(got), err, said.String())
			}
			t.Logf("%v, %d batches, %d bytes", r.Steps, r.Batches, r.Bytes)
		})
	}
}
