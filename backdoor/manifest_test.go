// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"errors"
	"strings"
	"testing"

	"lazystate/backdoor/uapi"
)

// An older monitor reads a newer target: unknown tags are skipped by their length.
func TestManifestSkipsUnknownTags(t *testing.T) {
	m, err := DecodeManifest(manifestOf(
		entry(98, "future", 128, 7),
		entry(uapi.TagValue, "hz", 8, 250),
		entry(uapi.TagOffset, "cred.uid", 8, 4<<32|20),
		entry(uapi.TagOffset, "cred", 8, 168),
		entry(uapi.TagString, "kernel_release", 8, 0x312e36),
	))
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := m.Value("hz"); v != 250 {
		t.Errorf("hz = %d", v)
	}
	if v, _ := m.Offset("cred.uid"); v != (Member{20, 4}) {
		t.Errorf("cred.uid = %v", v)
	}
	if v, _ := m.Offset("cred"); v != (Member{168, 0}) {
		t.Errorf("sizeof cred = %v", v)
	}
	if v, _ := m.String("kernel_release"); v != "6.1" {
		t.Errorf("kernel_release = %q", v)
	}
	if _, ok := m.Value("future"); ok {
		t.Error("an unknown tag became a value")
	}
	if s, v, o := m.Names(); len(s) != 1 || len(v) != 1 || len(o) != 2 {
		t.Errorf("names %v, %v, %v", s, v, o)
	}
}

// A kernel that dies while it changes its manifest leaves one that can be read:
// as it was or as it was to be, and nothing else.
func TestManifestInAChange(t *testing.T) {
	was := manifestOf(entry(uapi.TagValue, "panic_timeout", 8, 5))
	will := manifestOf(entry(uapi.TagValue, "panic_timeout", 8, 0))
	next := will[uapi.ManifestCRC32Off : uapi.ManifestCRC32Off+4]
	for value, b := range map[uint64][]byte{5: was, 0: append(was[:uapi.ManifestSize:uapi.ManifestSize], will[uapi.ManifestSize:]...)} {
		copy(b[uapi.ManifestCRC32NextOff:], next)
		m, err := DecodeManifest(b)
		if err != nil {
			t.Fatalf("panic_timeout %d: %v", value, err)
		}
		if v, _ := m.Value("panic_timeout"); v != value {
			t.Errorf("panic_timeout %d, want %d", v, value)
		}
		b[len(b)-1] ^= 1
		if _, err := DecodeManifest(b); err == nil {
			t.Errorf("panic_timeout %d: with a bit flipped it is taken", value)
		}
	}
}

func TestManifestRefuses(t *testing.T) {
	good := manifestOf(entry(uapi.TagValue, "hz", 8, 250))
	change := func(off int, v byte) []byte {
		b := append([]byte(nil), good...)
		b[off] ^= v
		return b
	}
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"magic":         {change(0, 1), "magic"},
		"longer":        {change(uapi.ManifestLenOff+1, 1), "bytes of entries"},
		"a bit flipped": {change(len(good)-1, 1), "crc"},
		"empty":         {nil, "bytes of"},
		"size 0":        {manifestOf(append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 48)...)), "entry"},
		"odd size":      {manifestOf(entry(uapi.TagString, "x", 12, 1)), "entry"},
		"short value":   {manifestOf(entry(uapi.TagValue, "x", 8, 1)[:56]), "entry"},
		"no name":       {manifestOf(entry(uapi.TagValue, "", 8, 1)), "named"},
		"control name":  {manifestOf(entry(uapi.TagValue, "a\x1b[2J", 8, 1)), "named"},
		"wild offset":   {manifestOf(entry(uapi.TagOffset, "x", 8, 1<<31)), "at"},
		"trailing":      {manifestOf(entry(uapi.TagValue, "x", 8, 1), make([]byte, 8)), "after the last entry"},
	} {
		_, err := DecodeManifest(c.b)
		var bad *CorruptError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A walk without its offsets names all that are missing, at once.
func TestMissingOffsetsAreNamed(t *testing.T) {
	_, err := newTaskLayout(&Manifest{})
	var missing *MissingError
	if !errors.As(err, &missing) || len(missing.Names) < 20 || !strings.Contains(err.Error(), "task_struct.comm") {
		t.Errorf("got %v", err)
	}
}

// Offsets that span more than any kernel's structures would take the memory of
// whoever walks: a megabyte for each process.
func TestWideStructuresAreRefused(t *testing.T) {
	for _, name := range []string{"task_struct.comm", "cred.euid", "mm_struct.rss_stat", "xa_node.slots"} {
		m := fuzzManifest()
		m.members[name] = Member{1 << 20, 1 << 20}
		_, err := newTaskLayout(m)
		var bad *CorruptError
		if !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSequenceRises(t *testing.T) {
	var s sequencer
	if got := s.after(1, 0, 0, 1000); got != 1000 {
		t.Errorf("the clock's value: %d", got)
	}
	if got := s.after(1, 0, 0, 1000); got != 1001 {
		t.Errorf("above the last: %d", got)
	}
	if got := s.after(1, 0, 5000, 1000); got != 5001 {
		t.Errorf("above what the target shows: %d", got)
	}
	if got := s.after(1, 1, 0, 7<<32); got != 7<<32+1 {
		t.Errorf("a commit word is never 0: %#x", got)
	}
	if got := s.after(1, 1, 0, 9<<32+1); got != 9<<32+2 {
		t.Errorf("nor the one before: %#x", got)
	}
}
