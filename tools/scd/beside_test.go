// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/tools/lab"
)

// A stock iperf3 sends both ways between the client and its server while a session goes to
// and fro beside it: neither notices the other but by the time that things take.
func TestMovesBesideIperf3(t *testing.T) {
	path, err := exec.LookPath("iperf3")
	if err != nil {
		lab.Skip(t, err.Error())
	}
	w := newWorld(t, false)
	a := w.agent("--patience", hang.String())
	s1 := w.sites["s1"]
	server := started(t, s1.Host, "iperf3", exec.Command(path, "--server"))
	end := w.download(own(0, false).Addr(), long)
	a.flow()
	var beside *process
	var over <-chan struct{}
	var out strings.Builder
	begin := func() {
		cmd := exec.Command(path, "--client", own(0, false).Addr().String(), "--bidir", "--bitrate", "50M", "--time", "5")
		out.Reset()
		cmd.Stdout = &out
		beside = started(t, w.client, "iperf3", cmd)
		over = beside.ended()
	}
	begin()
	for going := true; going; {
		a.hop(false)
		select {
		case <-over:
			if going = strings.Contains(beside.log.String(), "Connection refused"); going { // it does not listen yet
				time.Sleep(100 * time.Millisecond)
				begin()
			}
		default:
		}
	}
	if !beside.ProcessState.Success() {
		t.Errorf("iperf3: %v: %s%s; its server: %s", beside.ProcessState, &out, beside.log, server.log)
	}
	end()
}

// metricsPort is for Prometheus.
const metricsPort = 9465

func (w *world) metrics(i int) string {
	w.t.Helper()
	var text []byte
	w.client.Do(func() error {
		c, err := net.DialTimeout("tcp", netip.AddrPortFrom(own(i, false).Addr(), metricsPort).String(), hang)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err = io.WriteString(c, "GET /metrics HTTP/1.0\r\n\r\n"); err == nil {
			text, err = io.ReadAll(c)
		}
		return err
	})
	return string(text)
}

// Prometheus is told what has happened.
func TestMetrics(t *testing.T) {
	w := (&world{t: t, names: []string{"s1", "s2"}, more: func(s *site, cfg map[string]any) {
		for i, name := range []string{"s1", "s2"} {
			if s.name == name {
				cfg["metrics"] = netip.AddrPortFrom(own(i, false).Addr(), metricsPort).String()
			}
		}
	}}).build(false)
	finish := w.idle()
	w.only()
	w.move()
	w.only()
	for i, want := range []map[string]int{
		{"mtcp_sessions": 0, "mtcp_sessions_orphaned": 0, "mtcp_box_bytes": 0, "mtcp_sessions_left_total": 1, "mtcp_sessions_came_total": 0, "mtcp_moves_undone_total": 0},
		{"mtcp_sessions": 1, "mtcp_sessions_orphaned": 0, "mtcp_sessions_left_total": 0, "mtcp_sessions_came_total": 1, "mtcp_over_quota_total": 0},
	} {
		text := w.metrics(i)
		for name, v := range want {
			if !strings.Contains(text, fmt.Sprintf("\n%s %d\n", name, v)) {
				t.Errorf("s%d: no %s of %d in\n%s", i+1, name, v, text)
			}
		}
	}
	finish()
}

// terminal is one, and what is shown there.
func terminal(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		lab.Skip(t, "no terminals here: "+err.Error())
	}
	screen = os.NewFile(uintptr(fd), "/dev/ptmx")
	t.Cleanup(func() { screen.Close() })
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err == nil {
		t.Cleanup(func() { tty.Close() })
		err = screen.SetReadDeadline(time.Now().Add(hang))
	}
	if err != nil {
		t.Fatal(err)
	}
	return screen, tty
}

// An operator at a terminal is shown how far a move has come; nobody else is.
func TestProgressBar(t *testing.T) {
	screen, tty := terminal(t)
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, bar := range []io.Writer{tty, file, io.Discard} {
		show := shower{out: io.Discard, bar: bar}
		for _, line := range []string{`{"step":"freeze","done":64,"all":128}`, `{"step":"freeze","done":128,"all":128}`} {
			if err := show.line([]byte(line)); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := "\rfreeze [" + strings.Repeat("#", 20) + strings.Repeat(" ", 20) + "] 64/128" + "\rfreeze [" + strings.Repeat("#", 40) + "] 128/128\r\n"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(screen, got); err != nil || string(got) != want {
		t.Errorf("the terminal shows %q, %v", got, err)
	}
	if st, err := file.Stat(); err != nil || st.Size() != 0 {
		t.Errorf("a file has %d bytes of it, %v", st.Size(), err)
	}
}
