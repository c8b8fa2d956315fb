// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lazystate/backdoor"
	"lazystate/bench/guest"
	"lazystate/sensorbox"
)

var update = flag.Bool("update", false, "write the golden files")

// sample are lines as two kernels, two rows and two runs leave them.
func sample() []line {
	var all []line
	for _, k := range []string{"6.1", "6.12"} {
		for run := 1; run <= 2; run++ {
			add := func(row, column, read, locked, mended string, detect time.Duration, kind string, wrong int) {
				all = append(all, line{
					Kernel: k, Row: row, Run: run, Seed: uint64(run), Column: column, Read: read, Locked: locked, Repair: mended, Detect: detect, Kind: kind,
					False: wrong, ReadFor: 1500 * time.Microsecond, Samples: 10, Lost: uint64(run), Release: k + ".0-amd64", Machine: "a CPU, tcg", Load: "0.1 0.2 0.3",
					Source: "0123", Date: "2026-11-28 09:00", Note: "what, \"it\" said;\nin two lines",
				})
			}
			add("idle", "rxe", yes, yes, yes, 0, "", run-1)
			add("idle", "bdnic", yes, yes, yes, 0, "", 0)
			add("idle", "mapped", yes, yes, yes, 0, "", 0)
			add("idle", "ping", yes, unasked, unasked, 0, "", 0)
			died := no
			if run == 2 && k == "6.1" {
				died = yes
			}
			add("panic", "rxe", died, no, no, 700*time.Millisecond, "suspected", 0)
			add("panic", "bdnic", yes, no, no, 20*time.Millisecond, "panicked", 0)
			add("panic", "mapped", yes, no, no, time.Duration(run)*1200*time.Millisecond, "panicked", 0)
			add("panic", "ping", no, unasked, unasked, 0, "", 0)
			add("debugger", "rxe", notHere, notHere, notHere, 0, "", 0)
			add("debugger", "ping", notHere, notHere, notHere, 0, "", 0)
		}
	}
	return all
}

func TestRecordKeepsWhatWasMeasured(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.csv")
	r, err := openRecord(path)
	if err != nil {
		t.Fatal(err)
	}
	want := sample()
	for _, l := range want { // one run after the other, as a series does
		if err := r.add([]line{l}); err != nil {
			t.Fatal(err)
		}
	}
	if r, err = openRecord(path); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, r.lines); d != "" {
		t.Error(d)
	}
	for _, c := range []struct {
		kernel, row string
		run         int
		want        bool
	}{{"6.1", "idle", 2, true}, {"6.1", "idle", 3, false}, {"6.12", "panic", 1, true}, {"6.1", "cut", 1, false}} {
		if got := r.has(c.kernel, c.row, c.run); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestRecordOfSomethingElse(t *testing.T) {
	head := strings.Join(heads, ",") + "\n"
	for _, bad := range []string{"", "a,b\n1,2\n", head + "6.1,idle\n", head + strings.Repeat(",", len(heads)-1) + "\n"} {
		if _, err := readLines(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// The table that the README shows is made of the record alone.
func TestTable(t *testing.T) {
	m := newMatrix(sample())
	for file, got := range map[string][]byte{"table.md": []byte(m.markdown()), "picture.svg": m.picture()} {
		golden := filepath.Join("testdata", file)
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Errorf("%s (-update writes it anew): %s", file, d)
		}
	}
	for dec := xml.NewDecoder(bytes.NewReader(m.picture())); ; {
		if _, err := dec.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("the picture is no XML: %v", err)
		}
	}
	if m.fewest() != 2 {
		t.Errorf("at least %d runs", m.fewest())
	}
}

func TestTableFromTheCommand(t *testing.T) {
	dir := t.TempDir()
	var out, errs bytes.Buffer
	call := func(args ...string) int {
		out.Reset()
		errs.Reset()
		return run(t.Context(), append(args, "--out", dir), nil, &out, &errs)
	}
	if code := call("--table"); code != 1 || !strings.Contains(errs.String(), "nothing was measured") {
		t.Errorf("without a record: %d, %s", code, errs.String())
	}
	r := record{path: filepath.Join(dir, "survival-runs.csv")}
	if err := r.add(sample()); err != nil {
		t.Fatal(err)
	}
	if code := call("--table"); code != 0 || !strings.Contains(out.String(), "| panic |") {
		t.Errorf("with one: %d, %s", code, errs.String())
	}
	for _, f := range []string{tableFile, pictureFile} {
		if st, err := os.Stat(filepath.Join(dir, f)); err != nil || st.Size() == 0 {
			t.Errorf("%s: %v", f, err)
		}
	}
	for _, bad := range [][]string{{"--rows", "idle,nonsense"}, {"left over"}, {"--no-such-flag"}, {"--kernels", "5.4"}, {"--runs", "0"}} {
		if code := call(bad...); code != 2 {
			t.Errorf("%q: exit %d", bad, code)
		}
	}
}

func TestRows(t *testing.T) {
	if len(rows) != 21 {
		t.Errorf("%d rows, the matrix has 21", len(rows))
	}
	for i, r := range rows {
		if rowNamed(r.name) != &rows[i] {
			t.Errorf("%s is there twice", r.name)
		}
		if r.title == "" || r.strike != nil && r.rogue != nil {
			t.Errorf("%s: no title, or two faults", r.name)
		}
		for _, k := range r.right {
			if slices.Contains(r.wrong, k) {
				t.Errorf("%s: %v is both right and wrong", r.name, k)
			}
		}
	}
}

func TestTurns(t *testing.T) {
	first := map[guest.Carrier]bool{}
	for seed := range uint64(10) {
		order := turns(seed)
		first[order[0]] = true
		if len(order) != len(guest.Carriers) || order[len(order)-1] != guest.INIC {
			t.Errorf("seed %d: %v", seed, order)
		}
	}
	if len(first) != 2 {
		t.Errorf("always the same goes first: %v", first)
	}
}

// What a monitor said is right, false, or neither, by when and of what.
func TestJudge(t *testing.T) {
	struck := time.Unix(100, 0)
	after := func(seconds float64, k sensorbox.Kind) guest.Sign {
		return guest.Sign{Kind: k, At: struck.Add(time.Duration(seconds * float64(time.Second))), Text: k.String()}
	}
	type signs = []guest.Sign
	for _, c := range []struct {
		row           string
		before, after signs
		want          detection
	}{
		{"panic", nil, nil, detection{}},
		{"panic", nil, signs{after(0.5, sensorbox.Panicked), after(1, sensorbox.Failed)}, detection{after: 500 * time.Millisecond, kind: "panicked"}},
		{"panic", signs{after(-2, sensorbox.Suspected)}, signs{after(1, sensorbox.Stalled)}, detection{after: time.Second, kind: "stalled", wrong: 1}},
		{"panic", nil, signs{after(1, sensorbox.Gone)}, detection{wrong: 1}},
		{"idle", signs{after(-2, sensorbox.Stalled)}, signs{after(1, sensorbox.Suspected)}, detection{wrong: 2}},
		{"bomb-cpu", nil, signs{after(2, sensorbox.Exceeded), after(3, sensorbox.Failed)}, detection{after: 2 * time.Second, kind: "exceeded", wrong: 1}},
		{"cut", nil, signs{after(1, sensorbox.Unreachable), after(2, sensorbox.HandOver)}, detection{after: time.Second, kind: "unreachable"}},
	} {
		got := judge(rowNamed(c.row), c.before, c.after, struck)
		got.detail = ""
		if got != c.want {
			t.Errorf("%s, %v, %v: %+v, want %+v", c.row, c.before, c.after, got, c.want)
		}
	}
}

func TestAsk(t *testing.T) {
	tries := 0
	a := ask(t.Context(), time.Minute, func(context.Context) error {
		if tries++; tries < 3 {
			return backdoor.ErrUnanswered
		}
		return nil
	})
	if !a.yes || tries != 3 || a.why != "" {
		t.Errorf("after %d tries %+v", tries, a)
	}
	tries = 0
	if a = ask(t.Context(), time.Minute, func(context.Context) error { tries++; return backdoor.ErrGone }); a.yes || tries != 1 || a.why == "" {
		t.Errorf("a no that stays one: %d tries, %+v", tries, a)
	}
	never := make(chan struct{})
	defer close(never)
	if a = ask(t.Context(), time.Millisecond, func(context.Context) error { <-never; return nil }); a.yes || a.why == "" {
		t.Errorf("a question that does not come back: %+v", a)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a = ask(ctx, time.Minute, func(ctx context.Context) error { return ctx.Err() }); a.yes {
		t.Errorf("cancelled: %+v", a)
	}
}

func TestQueueIRQs(t *testing.T) {
	text := "           CPU0       CPU1\n  1:  9  0  IO-APIC 1-edge i8042\n 24:  0  0  PCI-MSI 65536-edge  virtio1-config\n" +
		" 25:  7  0  PCI-MSI 65537-edge  virtio1-input.0\n 26:  3  0  PCI-MSI 65538-edge  virtio1-output.0\n\nNMI: 0 0 Non-maskable interrupts\n"
	if got, want := queueIRQs(text), []string{"virtio1-input.0", "virtio1-output.0"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// It is the handler of what receives that crashes: the monitors' questions cause it.
func TestReceiving(t *testing.T) {
	if got, err := receiving([]string{"virtio1-output.0", "virtio1-input.0", "virtio1-input.1"}); got != "virtio1-input.0" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := receiving([]string{"virtio1-output.0"}); err == nil {
		t.Errorf("%q receives", got)
	}
}

// A request whose checksum is wrong would be dropped, and look like a dead target.
func TestEcho(t *testing.T) {
	b := echo(0xfedc, 0xffff)
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	if sum != 0xffff {
		t.Errorf("checksum is off: %#x", sum)
	}
	b[0] = 0
	if !answers(b, 0xfedc) || answers(b, 1) || answers(b[:7], 0xfedc) || answers(echo(0xfedc, 1), 0xfedc) {
		t.Error("not every answer is ours")
	}
}

func TestWord(t *testing.T) {
	var c tally
	for _, w := range []string{yes, no, unasked, notHere, yes} {
		c.add(w)
	}
	if c != (tally{2, 3}) || c.String() != "2/3" || (tally{}).String() != unasked {
		t.Errorf("%v", c)
	}
	l := &line{}
	l.note("read", "")
	l.note("read", "no\nmore")
	l.note("", strings.Repeat("x", 1000))
	if l.Note != "read: no; "+strings.Repeat("x", 300) {
		t.Errorf("%q", l.Note)
	}
	if err := once(t.Context(), func(context.Context) error { return errors.New("said") }); err == nil || err.Error() != "said" {
		t.Error(err)
	}
}
