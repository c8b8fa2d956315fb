// SPDX-License-Identifier: Apache-2.0

package config

import (
	"lazystate/backdoor/uapi"
	"lazystate/internal/keyfile"
)

// Key reads the target's key; the zero key if none is configured.
func (t *Target) Key() (uapi.Key, error) {
	if t.KeyFile == "" {
		return uapi.Key{}, nil
	}
	return keyfile.One(t.KeyFile)
}
