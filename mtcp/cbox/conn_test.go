// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp"
)

func TestOrdinaryConnection(t *testing.T) {
	client, c := accepted(t, Config{})
	send(t, client, "hello")
	get(t, c, "hello")
	send(t, c, "world")
	get(t, client, "world")
	if _, ok := c.Import(); ok {
		t.Error("a new session has a state")
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	atEnd(t, c)
	send(t, c, "bye")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	get(t, client, "bye")
	atEnd(t, client)
	if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
	if err := c.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second close: %v", err)
	}
}

// What was read after the snapshot is read again, what was written after it is
// swallowed.
func TestReplay(t *testing.T) {
	client, c := accepted(t, Config{})
	send(t, client, "onetwo")
	get(t, c, "one")
	send(t, c, "1")
	export(t, c, "after one")
	get(t, c, "two")
	send(t, c, "2")

	n := again(t, c, Config{})
	imported(t, n, "after one")
	get(t, n, "two")
	send(t, n, "2")
	send(t, n, "3")
	send(t, client, "three")
	get(t, n, "three")
	get(t, client, "123")
	nothing(t, client)

	var moved *MigratedError
	if _, err := c.Write([]byte("ghost")); !errors.As(err, &moved) || !moved.Replaced || !errors.Is(err, ErrMigrated) {
		t.Errorf("the replaced process writes: %v", err)
	}
	if err := c.Export([]byte("ghost")); !errors.Is(err, ErrMigrated) {
		t.Errorf("the replaced process exports: %v", err)
	}
}

// §2.4.1: without a snapshot the session begins at its initial state, and the
// log began at accept.
func TestReplayWithoutSnapshot(t *testing.T) {
	client, c := accepted(t, Config{})
	send(t, client, "request")
	get(t, c, "request")
	send(t, c, "repl")
	n := again(t, c, Config{})
	if _, ok := n.Import(); ok {
		t.Error("it has a state")
	}
	get(t, n, "request")
	send(t, n, "reply")
	get(t, client, "reply")
	nothing(t, client)
}

// Again and again, without an export in between, and with one in mid-replay.
func TestReplayOfAReplay(t *testing.T) {
	client, c := accepted(t, Config{})
	send(t, client, "abcdef")
	get(t, c, "ab")
	export(t, c, "ab")
	get(t, c, "cde")
	send(t, c, "CDE")
	c = again(t, c, Config{})
	get(t, c, "c")
	send(t, c, "C")
	c = again(t, c, Config{})
	get(t, c, "cd")
	send(t, c, "CD")
	export(t, c, "abcd")
	c = again(t, c, Config{})
	imported(t, c, "abcd")
	get(t, c, "ef")
	send(t, c, "EF")
	get(t, client, "CDEF")
	nothing(t, client)
}

// Bytes that the process has not read stay in the socket.
func TestLogWrapsAndIsBounded(t *testing.T) {
	client, c := accepted(t, Config{Log: 64})
	all := pattern(0, 1000)
	go client.Write(all)
	var got []byte
	died := map[int]bool{}
	b := make([]byte, 50)
	for len(got) < len(all) {
		n, err := c.Read(b)
		if errors.Is(err, ErrLogFull) {
			export(t, c, "")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b[:n]...)
		if len(got)%31 < 8 && !died[len(got)] {
			died[len(got)] = true
			c = again(t, c, Config{})
			got = got[:c.up.LSR]
		}
		if len(got)%7 == 0 {
			export(t, c, "")
		}
	}
	same(t, got, all)
}

func TestLogFull(t *testing.T) {
	client, c := accepted(t, Config{Log: 64})
	send(t, client, string(pattern(0, 70)))
	get(t, c, string(pattern(0, 64)))
	var full *LogFullError
	if _, err := c.Read(make([]byte, 1)); !errors.As(err, &full) || full.Offset != 64 || full.Stream != "connection" {
		t.Fatalf("read with a full log: %v", err)
	}
	n := again(t, c, Config{})
	get(t, n, string(pattern(0, 64)))
	if _, err := n.Read(make([]byte, 1)); !errors.Is(err, ErrLogFull) {
		t.Fatalf("after a replay: %v", err)
	}
	export(t, n, "")
	get(t, n, string(pattern(64, 6)))
}

// Another goroutine's export is awaited, if the configuration says so.
func TestLogWait(t *testing.T) {
	client, c := accepted(t, Config{Log: 64, LogWait: hang})
	send(t, client, string(pattern(0, 70)))
	get(t, c, string(pattern(0, 64)))
	done := make(chan error, 1)
	go func() {
		b := make([]byte, 6)
		_, err := io.ReadFull(c, b)
		done <- err
	}()
	time.Sleep(10 * time.Millisecond)
	export(t, c, "")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// A server that writes without reading, while the client writes without
// reading: with its log full it would wait for ever, and is told to export.
func TestWriterIsToldOfAFullLog(t *testing.T) {
	client, c := accepted(t, Config{Log: 64})
	go client.Write(make([]byte, 64<<20))
	get(t, c, string(make([]byte, 64)))
	b := make([]byte, 64<<10)
	for {
		if _, err := c.Write(b); err != nil {
			if !errors.Is(err, ErrLogFull) {
				t.Fatal(err)
			}
			return
		}
	}
}

// §2.4.4: output of a nondeterministic interval waits for the next export.
func TestNondeterministicInterval(t *testing.T) {
	client, c := accepted(t, Config{Hold: 64})
	send(t, c, "a")
	if err := c.ExportNDI([]byte("drawing")); err != nil {
		t.Fatal(err)
	}
	send(t, c, "17")
	get(t, client, "a")
	nothing(t, client)
	n := again(t, c, Config{}) // 17 is forgotten
	imported(t, n, "drawing")
	send(t, n, "4")
	nothing(t, client)
	export(t, n, "drew 4")
	get(t, client, "4")
	send(t, n, "b")
	get(t, client, "b")
	if err := n.ExportNDI(nil); err != nil {
		t.Fatal(err)
	}
	k, err := n.Write(make([]byte, 100))
	var full *LogFullError
	if k != 64 || !errors.As(err, &full) || full.Stream != "output held" {
		t.Errorf("held %d of 100, %v", k, err)
	}
	export(t, n, "")
	if k, err = n.Write(make([]byte, 36)); k != 36 || err != nil {
		t.Errorf("after the export: %d, %v", k, err)
	}
}

// The process dies between the export that releases output and the output.
func TestReleasedOutputIsNotLost(t *testing.T) {
	client, c := accepted(t, Config{})
	if err := c.ExportNDI(nil); err != nil {
		t.Fatal(err)
	}
	send(t, c, "held")
	if err := c.do(func() error { _, err := c.snapshot([]byte("released"), 0, copied); return err }); err != nil {
		t.Fatal(err)
	}
	n := again(t, c, Config{})
	imported(t, n, "released")
	get(t, client, "held")
	send(t, n, "more")
	get(t, client, "more")
}

// §2.4.4: a nondeterministic interval cannot begin amid repeated output.
func TestWrongExport(t *testing.T) {
	client, c := accepted(t, Config{})
	send(t, c, "seen")
	get(t, client, "seen")
	n := again(t, c, Config{})
	var diverged *mtcp.DivergedError
	if err := n.ExportNDI(nil); !errors.As(err, &diverged) {
		t.Errorf("got %v", err)
	}
}

// The process that dies in the middle of a write to the box leaves the
// snapshot before it.
func TestTornSnapshot(t *testing.T) {
	_, c := accepted(t, Config{})
	export(t, c, "one")
	export(t, c, "two")
	b := c.Buffer()
	copy(b, "three")
	clear(c.buffer()[:8])
	n := again(t, c, Config{})
	imported(t, n, "two")
}

func TestBufferAndCommit(t *testing.T) {
	_, c := accepted(t, Config{Snapshot: 100})
	for _, s := range []string{"one", "two", "three"} {
		n := copy(c.Buffer(), s)
		if err := c.Commit(n, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Commit(101+64, false); err == nil {
		t.Error("more than there is room for was committed")
	}
	if err := c.Commit(-1, false); err == nil {
		t.Error("less than nothing was committed")
	}
	imported(t, again(t, c, Config{}), "three")
}

func TestEagerExport(t *testing.T) {
	_, c := accepted(t, Config{})
	for _, s := range []string{"one", "two", "three"} {
		if err := c.ExportEager([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	imported(t, again(t, c, Config{}), "three")
}

func TestSnapshotTooLarge(t *testing.T) {
	_, c := accepted(t, Config{Snapshot: 100})
	var size *SizeError
	if err := c.Export(make([]byte, 200)); !errors.As(err, &size) {
		t.Errorf("got %v", err)
	}
	export(t, c, string(make([]byte, 100)))
}

// Deadlines are those of any connection.
func TestDeadlines(t *testing.T) {
	_, c := accepted(t, Config{})
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !isTimeout(err) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	_ = c.SetWriteDeadline(time.Now().Add(time.Millisecond))
	var err error
	for err == nil {
		_, err = c.Write(make([]byte, 1<<20))
	}
	if !isTimeout(err) {
		t.Errorf("write: %v", err)
	}
}

// A full socket makes Write wait, and nothing is lost or doubled over it.
func TestLargeWrites(t *testing.T) {
	client, c := accepted(t, Config{})
	all := pattern(0, 16<<20)
	go func() {
		for done := 0; done < len(all); {
			n, err := c.Write(all[done:min(len(all), done+(3<<20))])
			if err != nil {
				t.Errorf("write: %v", err)
				return
			}
			done += n
		}
		c.Close()
	}()
	got, err := io.ReadAll(client)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, all)
}

// §2.7, "an idle session": at most five pages, however much has passed through.
func TestIdleSessionIsSmall(t *testing.T) {
	client, c := accepted(t, Config{})
	for range 50 {
		send(t, client, string(make([]byte, 10000)))
		get(t, c, string(make([]byte, 10000)))
		send(t, c, "ok")
		get(t, client, "ok")
		export(t, c, string(make([]byte, 4032)))
	}
	got := make(chan string, 1)
	go func() {
		b := make([]byte, 5)
		n, _ := io.ReadFull(c, b)
		got <- string(b[:n])
	}()
	pages := int64(100)
	for until := time.Now().Add(hang); pages > 5 && time.Now().Before(until); time.Sleep(time.Millisecond) { // until it waits
		var st unix.Stat_t
		if err := unix.Fstat(int(c.Region().File.Fd()), &st); err != nil {
			t.Fatal(err)
		}
		pages = st.Blocks * 512 / pageSize
	}
	if pages > 5 {
		t.Errorf("%d pages", pages)
	}
	send(t, client, "still")
	if s := <-got; s != "still" {
		t.Errorf("it reads %q", s)
	}
}

func TestQuota(t *testing.T) {
	q := &Quota{Boxes: 2}
	cfg := Config{Quota: q}
	_, a := accepted(t, cfg)
	_, b := accepted(t, cfg)
	_, server := dialed(t)
	var size *SizeError
	if _, err := Create(server, cfg); !errors.As(err, &size) {
		t.Errorf("a third box: %v", err)
	}
	a.Close()
	if _, err := Create(server, cfg); err != nil {
		t.Errorf("after one was closed: %v", err)
	}
	q.Bytes = 1
	b.Close()
	_, server = dialed(t)
	if _, err := Create(server, cfg); !errors.As(err, &size) {
		t.Errorf("more bytes than allowed: %v", err)
	}
}

// Sizes are rounded up so that nothing has to be divided.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want sizes
	}{
		{Config{}, sizes{snap: 4096, log: 16384, hold: 16384, ring: 16384, procs: 1}},
		{Config{Log: 1, Hold: 65, Ring: 5000, Snapshot: 1, Processes: 3, Channels: 2}, sizes{snap: 192, log: 64, hold: 128, ring: 8192, procs: 3, chans: 4}},
	} {
		if got, err := c.cfg.sizes(); err != nil || got != c.want {
			t.Errorf("%+v: %+v, %v", c.cfg, got, err)
		}
	}
	for _, cfg := range []Config{{Log: -1}, {Snapshot: -1}, {Processes: 65}, {Channels: 65}, {Ring: 1 << 40}, {Snapshot: uapi.CboxLenMax / 4, Processes: 3}} {
		s, err := cfg.sizes()
		if err == nil {
			_, _, _, err = s.place()
		}
		var size *SizeError
		if !errors.As(err, &size) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}
