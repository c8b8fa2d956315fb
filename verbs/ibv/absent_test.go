// SPDX-License-Identifier: Apache-2.0

//go:build !cgo || !linux

package ibv

import (
	"errors"
	"testing"

	"lazystate/verbs/driver"
)

func TestAbsent(t *testing.T) {
	if _, err := (Provider{}).Devices(); !errors.Is(err, driver.ErrNotSupported) {
		t.Errorf("devices: %v", err)
	}
	if _, err := (Provider{}).Open(t.Context(), ""); !errors.Is(err, driver.ErrNotSupported) {
		t.Errorf("open: %v", err)
	}
}
