// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"lazystate/mtcp/keeper"
	"lazystate/mtcp/keeper/keepertest"
	"lazystate/tools/testbed"
	"lazystate/tools/testbed/bedtest"
)

func TestMain(m *testing.M) { keepertest.Main(m, run, testbed.Done) }

// tones are three seconds of 64 kbit/s, made with lame from sine waves.
const tones = "testdata/tones.mp3"

func onAir(t *testing.T) (*keepertest.Service, []byte) {
	t.Helper()
	music, err := os.ReadFile(tones)
	if err != nil {
		t.Fatal(err)
	}
	s := keepertest.New(t, keeper.Config{})
	s.Run("--keeper", s.Socket, "--listen", s.Addr, "--kbit", "256", "--burst", "16384", tones)
	return s, music
}

// A stock player decodes, while the server is interrupted again and again, what
// it decodes of a file with the same music.
func TestPlayerHearsNoGap(t *testing.T) {
	keepertest.Each(t, func(t *testing.T, interrupt func(*keepertest.Service)) {
		s, music := onAir(t)
		want := sound(t, music)
		hears(t, keepertest.NewClient(t, "mpg123", "-q", "-s", "-n", frames, "http://"+s.Addr+"/"), want, func() { interrupt(s) })
	})
}

// So it does while its session goes from one machine to the other and back.
func TestPlayerHearsNoGapBetweenMachines(t *testing.T) {
	music, err := os.ReadFile(tones)
	if err != nil {
		t.Fatal(err)
	}
	want := sound(t, music)
	bedtest.Each(t, "audio", func(t *testing.T, b *bedtest.Bed) {
		b.Serve(testbed.Self, "--keeper", "KEEPER", "--listen", "0.0.0.0:PORT", "--kbit", "256", "--burst", "16384", tones)
		hears(t, b.Client("mpg123", "-q", "-s", "-n", frames, "http://"+b.Addr()+"/"), want, b.Hop)
	})
}

const frames, pcm = "400", 400 * 1152 * 2

// sound is what a stock player makes of a file of that music, again and again.
func sound(t *testing.T, music []byte) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "music.mp3")
	if err := os.WriteFile(file, bytes.Repeat(music, 6), 0o644); err != nil {
		t.Fatal(err)
	}
	want, err := exec.Command("mpg123", "-q", "-s", "-n", frames, file).Output()
	if err != nil || len(want) != pcm {
		t.Fatalf("mpg123 of a file: %d bytes, %v", len(want), err)
	}
	return want
}

// hears compares, while something happens to the server again and again.
func hears(t *testing.T, c *keepertest.Client, want []byte, happens func()) {
	t.Helper()
	var got []byte
	for rng := rand.New(rand.NewPCG(1, 1)); len(got) < pcm*3/4; {
		got = append(got, c.Read(1+rng.IntN(pcm/6))...)
		happens()
	}
	if got = append(got, c.Rest()...); !bytes.Equal(got, want) {
		t.Errorf("%d bytes of sound, %d wanted, or others", len(got), len(want))
	}
}

// Titles stay where they have to be, and the music between them is whole.
func TestTitles(t *testing.T) {
	s, music := onAir(t)
	c := keepertest.NewClient(t, "curl", "-sSN", "-H", "Icy-MetaData: 1", "http://"+s.Addr+"/")
	var got []byte
	for i := range 4 {
		got = append(got, c.Read(metaint)...)
		if b := c.Read(int(c.Read(1)[0]) * 16); !bytes.Equal(bytes.TrimRight(b, "\x00"), []byte("StreamTitle='tones';")) {
			t.Errorf("after %d bytes of music: %q", len(got), b)
		}
		if i < 3 {
			s.Process().Kill()
			s.Next()
		}
	}
	if want := bytes.Repeat(music, 3)[:len(got)]; !bytes.Equal(got, want) {
		t.Error("it is not the music")
	}
	_ = c.Process.Kill()
	_ = c.Wait()
}

// tape is a session without a network, that ends after so much.
type tape struct {
	state []byte
	got   []byte
	times []time.Duration // of each KB of music
	began time.Time
	most  int
}

var errEnough = errors.New("enough")

func (s *tape) Read(p []byte) (int, error) { return copy(p, "GET / HTTP/1.0\r\n\r\n"), nil }

func (s *tape) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(p, []byte("HTTP")) {
		s.got = append(s.got, p...)
		s.times = append(s.times, time.Since(s.began))
	}
	if len(s.got) >= s.most {
		return len(p), errEnough
	}
	return len(p), nil
}

func (s *tape) Import() ([]byte, bool) { return s.state, s.state != nil }

func (s *tape) Export(b []byte) error { s.state = bytes.Clone(b); return nil }

// The burst comes at once, and the rest in its time; who goes on after a while
// catches up, and is not early because another clock is wrong.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &station{tracks: []track{{"a", make([]byte, 1<<20)}}, length: 1 << 20, rate: 10240, burst: 16 << 10, began: time.Now()}
		first := &tape{began: time.Now(), most: 36 << 10}
		if err := s.play(first); !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		for i, at := range first.times {
			want := time.Duration(max(0, i-16)) * 100 * time.Millisecond
			if at != want {
				t.Errorf("KB %d at %v, not %v", i, at, want)
			}
		}
		time.Sleep(1500 * time.Millisecond) // until another process is there
		next := &tape{state: first.state, began: first.began, most: 30 << 10}
		if err := s.play(next); !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		// It went on at 32 KB, 3.4 s after the beginning: by then 50 KB were due.
		if last := next.times[len(next.times)-1]; next.times[0] != 3400*time.Millisecond || last != (61-16)*100*time.Millisecond {
			t.Errorf("it went on at %v, and was at 62 KB at %v", next.times[0], last)
		}
		l, err := decode(next.state)
		if err != nil {
			t.Fatal(err)
		}
		if d := s.wait(&l, time.Now().Add(-time.Hour)); d != 0 || s.wait(&l, time.Now().Add(-time.Hour)) != 0 {
			t.Errorf("a clock that is an hour late makes it wait for %v", d)
		}
	})
}

// The track that is on begins at its beginning, whenever one listens.
func TestOnAir(t *testing.T) {
	now := time.Unix(1000, 0)
	s := &station{tracks: []track{{"a", make([]byte, 1000)}, {"b", make([]byte, 500)}}, length: 1500, rate: 100, began: now}
	for _, c := range []struct{ after, want uint64 }{{0, 0}, {9, 0}, {10, 1000}, {14, 1000}, {15, 1500}, {26, 2500}} {
		got := s.on(now.Add(time.Duration(c.after) * time.Second))
		if name := s.tracks[(got%1500)/1000].title; got != c.want || name != map[bool]string{true: "a", false: "b"}[c.want%1500 == 0] {
			t.Errorf("after %d s: %d, track %s", c.after, got, name)
		}
	}
}

func FuzzDecodeListener(f *testing.F) {
	f.Add([]byte(`{"first":1,"sent":8192,"began":5,"titles":true,"header":true}`))
	f.Add([]byte(`{"sent":18446744073709551615,"first":9}`))
	f.Add([]byte(`[]`))
	s := &station{tracks: []track{{"a", make([]byte, 1000)}, {"b", make([]byte, 500)}}, length: 1500, rate: 100}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := decode(b)
		if err != nil {
			return
		}
		if err := s.block(&tape{most: 1 << 30}, &l); err != nil {
			t.Errorf("%s: %v", fmt.Sprintf("%+v", l), err)
		}
	})
}
