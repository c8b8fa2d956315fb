// SPDX-License-Identifier: Apache-2.0

//go:build !cgo || !linux

package ibv

import (
	"context"
	"fmt"

	"lazystate/verbs/driver"
)

// Provider is the provider of a build that has none.
type Provider struct{}

var errAbsent = fmt.Errorf("ibv: %w: built without cgo", driver.ErrNotSupported)

// Name returns "ibv".
func (Provider) Name() string { return "ibv" }

// Devices answers driver.ErrNotSupported.
func (Provider) Devices() ([]string, error) { return nil, errAbsent }

// Open answers driver.ErrNotSupported.
func (Provider) Open(context.Context, string) (driver.Device, error) { return nil, errAbsent }
