// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"

	"lazystate/backdoor/uapi"
)

type slotKey struct {
	slot uint32
	key  uapi.Key
}

// rekey is for a machine that is set up already: a key has changed, or the
// module was loaded by something else.
func rekey(path string) error {
	d, err := openDevice()
	if err != nil {
		return err
	}
	defer d.Close()
	return giveKeys(d, path)
}

func giveKeys(d *device, path string) error {
	keys, err := readKeys(path)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := d.setKey(k.slot, k.key); err != nil {
			return err
		}
	}
	return nil
}

// readKeys reads a key file. Others must not be able to: a key kills.
func readKeys(path string) ([]slotKey, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if !st.Mode().IsRegular() || st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("keys: %s has mode %v: it must be a file of mode 0600", path, st.Mode())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return parseKeys(path, b)
}

func parseKeys(path string, b []byte) ([]slotKey, error) {
	var keys []slotKey
	line := 0
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		line++
		text, _, _ := strings.Cut(sc.Text(), "#")
		f := strings.Fields(text)
		if len(f) == 0 {
			continue
		}
		var k slotKey
		if len(f) != 2 {
			return nil, fmt.Errorf("keys: %s:%d: want a slot and a key", path, line)
		}
		slot, err := strconv.ParseUint(f[0], 10, 32)
		if err != nil || slot >= uapi.Monitors {
			return nil, fmt.Errorf("keys: %s:%d: slot %q: want 0 to %d", path, line, f[0], uapi.Monitors-1)
		}
		raw, err := hex.DecodeString(f[1])
		if err != nil || len(raw) != len(k.key) {
			return nil, fmt.Errorf("keys: %s:%d: the key is not %d hex digits", path, line, 2*len(k.key))
		}
		k.slot = uint32(slot)
		copy(k.key[:], raw)
		keys = append(keys, k)
	}
	return keys, nil
}
