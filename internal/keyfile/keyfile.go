// SPDX-License-Identifier: Apache-2.0

package keyfile

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Size of a key in bytes.
const Size = 16

// Slot is the key of one monitor slot.
type Slot struct {
	Slot uint32
	Key  [Size]byte
}

// longest is more than any key file needs.
const longest = 1 << 16

// Read refuses what others may read, and what may be without end.
func Read(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	switch mode := st.Mode(); {
	case !mode.IsRegular():
		return nil, fmt.Errorf("key file %s: not a regular file", path)
	case mode.Perm()&0o077 != 0:
		return nil, fmt.Errorf("key file %s has mode %v: want 0600 or less", path, mode.Perm())
	case st.Size() > longest:
		return nil, fmt.Errorf("key file %s: %d bytes, at most %d", path, st.Size(), longest)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	return b, nil
}

// One reads a file that holds one key.
func One(path string) (key [Size]byte, err error) {
	b, err := Read(path)
	if err != nil {
		return key, err
	}
	if key, err = decode(strings.TrimSpace(string(b))); err != nil {
		return key, fmt.Errorf("key file %s: %w", path, err)
	}
	return key, nil
}

func decode(text string) (key [Size]byte, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != Size {
		return key, fmt.Errorf("want %d hex digits", 2*Size)
	}
	return [Size]byte(raw), nil
}

// Slots reads a file of lines "slot key"; slots count from 0 to below most.
func Slots(path string, most uint32) ([]Slot, error) {
	b, err := Read(path)
	if err != nil {
		return nil, err
	}
	keys, err := parse(b, most)
	if err != nil {
		return nil, fmt.Errorf("key file %s:%w", path, err)
	}
	return keys, nil
}

// parse's errors begin with the line.
func parse(b []byte, most uint32) ([]Slot, error) {
	var keys []Slot
	line := 0
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		line++
		text, _, _ := strings.Cut(sc.Text(), "#")
		f := strings.Fields(text)
		if len(f) == 0 {
			continue
		}
		if len(f) != 2 {
			return nil, fmt.Errorf("%d: want a slot and a key", line)
		}
		slot, err := strconv.ParseUint(f[0], 10, 32)
		if err != nil || slot >= uint64(most) {
			return nil, fmt.Errorf("%d: slot %q: want 0 to %d", line, f[0], most-1)
		}
		key, err := decode(f[1])
		if err != nil {
			return nil, fmt.Errorf("%d: %w", line, err)
		}
		keys = append(keys, Slot{uint32(slot), key})
	}
	return keys, nil
}
