// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"lazystate/backdoor/uapi"
)

// Key reads the target's key: 32 hex digits in a file that only its owner may
// read, for who reads it is the monitor (docs/security.md).
func (t *Target) Key() (uapi.Key, error) {
	var key uapi.Key
	if t.KeyFile == "" {
		return key, nil
	}
	st, err := os.Stat(t.KeyFile)
	if err != nil {
		return key, err
	}
	if st.Mode().Perm()&0o077 != 0 {
		return key, fmt.Errorf("key file %s has mode %v: want 0600 or less", t.KeyFile, st.Mode().Perm())
	}
	b, err := read(t.KeyFile)
	if err != nil {
		return key, err
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(raw) != len(key) {
		return key, fmt.Errorf("key file %s: want %d hex digits", t.KeyFile, 2*len(key))
	}
	return uapi.Key(raw), nil
}
