// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

// least measures f in batches too short to be interrupted often, and reports
// the least and the median beside the mean: on a machine that others use, the
// least is the cost.
func least(b *testing.B, batch int, f func()) {
	var each []float64
	for b.Loop() {
		start := time.Now()
		for range batch {
			f()
		}
		each = append(each, float64(time.Since(start).Nanoseconds())/float64(batch))
	}
	slices.Sort(each)
	b.ReportMetric(each[0], "ns-least")
	b.ReportMetric(each[len(each)/2], "ns-median")
	b.ReportMetric(0, "ns/op") // of a batch: no use to anybody
}

// Table 2.2, export: 64 B to 16 KiB, lazy (copied, and made in place) and eager.
func BenchmarkExport(b *testing.B) {
	for _, n := range []int{64, 1 << 10, 5 << 10, 10 << 10, 16 << 10} {
		_, c := accepted(b, Config{Snapshot: 16 << 10})
		state := make([]byte, n)
		for _, k := range []struct {
			name string
			f    func() error
		}{
			{"lazy", func() error { return c.Export(state) }},
			{"in-place", func() error { return c.Commit(n, false) }},
			{"eager", func() error { return c.ExportEager(state) }},
		} {
			b.Run(fmt.Sprintf("%s/%d", k.name, n), func(b *testing.B) {
				least(b, 100, func() {
					if err := k.f(); err != nil {
						b.Fatal(err)
					}
				})
			})
		}
	}
}

// Table 2.2, import: to open a session in a new process and have its state.
func BenchmarkResumeAndImport(b *testing.B) {
	for _, n := range []int{1 << 10, 5 << 10, 10 << 10} {
		_, c := accepted(b, Config{Snapshot: 16 << 10})
		export(b, c, string(make([]byte, n)))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			least(b, 1, func() {
				s, err := Resume(c.Region(), c.tcp, Config{})
				if err != nil {
					b.Fatal(err)
				}
				if state, ok := s.Import(); !ok || len(state) != n {
					b.Fatal(len(state))
				}
				s.mu.Lock()
				s.Session.release()
				s.mu.Unlock()
			})
		})
	}
}

// Table 2.2, associate: a process with one channel (two rings), in a service
// that has none yet.
func BenchmarkAssociate(b *testing.B) {
	_, server := dialed(b)
	for b.Loop() {
		b.StopTimer()
		c, err := Create(server, Config{Processes: 2, Channels: 1})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, err := c.Associate("back end", 1); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		c.mu.Lock()
		c.Session.release()
		c.mu.Unlock()
		c.region.File.Close()
		b.StartTimer()
	}
}

// Table 2.2, register and unregister: to make a box and to give it up.
func BenchmarkCreate(b *testing.B) {
	_, server := dialed(b)
	least(b, 1, func() {
		c, err := Create(server, Config{})
		if err != nil {
			b.Fatal(err)
		}
		c.mu.Lock()
		c.Session.release()
		c.mu.Unlock()
		c.region.File.Close()
	})
}

// §2.7.1, stationary: a stream of 8 KiB writes, an export of 1 KiB after each,
// beside an ordinary connection.
func BenchmarkStream(b *testing.B) {
	stream := func(b *testing.B, w io.Writer, client net.Conn, after func()) {
		_ = client.SetDeadline(time.Time{})
		go io.Copy(io.Discard, client)
		buf := make([]byte, 8<<10)
		b.SetBytes(int64(len(buf)))
		for b.Loop() {
			if _, err := w.Write(buf); err != nil {
				b.Fatal(err)
			}
			after()
		}
	}
	b.Run("base", func(b *testing.B) {
		client, server := dialed(b)
		stream(b, server, client, func() {})
	})
	b.Run("lazy", func(b *testing.B) {
		client, c := accepted(b, Config{})
		_ = c.SetDeadline(time.Time{})
		state := make([]byte, 1024)
		stream(b, c, client, func() { _ = c.Export(state) })
	})
	b.Run("eager", func(b *testing.B) {
		client, c := accepted(b, Config{})
		_ = c.SetDeadline(time.Time{})
		state := make([]byte, 1024)
		stream(b, c, client, func() { _ = c.ExportEager(state) })
	})
}

// A byte to the other process and back.
func BenchmarkChannelPingPong(b *testing.B) {
	_, root, child, up, down := pair(b, Config{})
	go func() {
		buf := make([]byte, 1)
		for {
			if _, err := up.Read(buf); err != nil {
				return
			}
			_, _ = up.Write(buf)
			_ = child.Export(nil)
		}
	}()
	buf := make([]byte, 1)
	for b.Loop() {
		if _, err := down.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := down.Read(buf); err != nil {
			b.Fatal(err)
		}
		_ = root.Export(nil)
	}
}
