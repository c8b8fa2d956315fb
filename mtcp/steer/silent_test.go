// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"fmt"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/mtcp/wire"
)

// S2 is silent for longer than the client's TCP tries what there is no room for in its own
// host, and for that it takes what is held back: data, its end, a question after the window.
// It is still there when S2 speaks, and says what it had to say.
func TestClientOutlivesASilentServer(t *testing.T) {
	const tries = 6 // of tcp_send_probe0; by tcp_retransmit_timer that is half a minute
	for _, hook := range []Hook{TCX, Clsact} {
		for what, enough := range map[string]func(Stats, *unix.TCPInfo) bool{
			"data":   func(st Stats, _ *unix.TCPInfo) bool { return st.DataHeld > tries+3 },
			"end":    func(st Stats, _ *unix.TCPInfo) bool { return st.DataHeld > tries+3 },
			"window": func(_ Stats, i *unix.TCPInfo) bool { return i.Backoff > 3 },
		} {
			t.Run(fmt.Sprintf("%s/%s", hook, what), func(t *testing.T) {
				if hook == TCX && !haveTCX(t) {
					t.Skip("this kernel has no TCX (since 6.6)")
				}
				r := newRigged(t, Config{Hook: hook})
				r.client.Sysctl("net/ipv4/tcp_retries2", fmt.Sprint(tries))
				r.outlives(t, what, enough)
			})
		}
	}
}

func (r *rigged) outlives(t *testing.T, what string, enough func(Stats, *unix.TCPInfo) bool) {
	exchange(t, r.c, r.s, 1000) // how long that takes is how long it waits
	if _, err := r.s.Write([]byte("!")); err != nil || !reads(t, r.c, make([]byte, 1)) {
		t.Fatal(err)
	}
	if what == "window" {
		r.shut(t)
	}
	s2 := plant(t, r.s2, half{r.to.Remote, r.to.Local, 3001, 2000})
	r.begin(t, hang)
	r.client.Do(func() error { _, err := r.a.Switch(r.f, Shift{}); return err })
	if _, err := r.c.Write([]byte("up")); err != nil {
		t.Fatal(err)
	}
	if what == "end" {
		if err := r.c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	r.tried(t, enough)
	start := time.Now()
	if _, err := s2.Write([]byte("!")); err != nil || !reads(t, r.c, make([]byte, 1)) {
		t.Fatal(err)
	}
	if b := make([]byte, 2); !reads(t, s2, b) || string(b) != "up" {
		t.Fatalf("S2 got %q", b)
	}
	t.Logf("%s after S2's first word", time.Since(start))
	if what == "end" {
		if n, err := s2.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("S2 got %d, %v", n, err)
		}
	}
}

// shut has S1 say that it has no room.
func (r *rigged) shut(t *testing.T) {
	t.Helper()
	out := sender(t, r.s1)
	r.s1.Do(func() error {
		return out.Send(wire.Segment{Src: r.f.Remote, Dst: r.f.Local, Seq: 3001, Ack: 2000, Flags: wire.ACK})
	})
	for end := time.Now().Add(hang); infoOf(t, r.c).Snd_wnd != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the client has not heard of the window")
		}
	}
}

// tried waits until the client's TCP has tried for long enough.
func (r *rigged) tried(t *testing.T, enough func(Stats, *unix.TCPInfo) bool) {
	t.Helper()
	for end := time.Now().Add(hang); ; time.Sleep(10 * time.Millisecond) {
		st, err := r.a.Stats()
		i := infoOf(t, r.c)
		if err != nil || i.State == unix.BPF_TCP_CLOSE || time.Now().After(end) {
			t.Fatalf("%d segments were held back, %v; the client's TCP is %+v", st.DataHeld, err, i)
		}
		if enough(st, i) {
			return
		}
	}
}
