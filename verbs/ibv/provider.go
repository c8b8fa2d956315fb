// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

/*
#cgo LDFLAGS: -libverbs -lrdmacm
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"unsafe"

	"lazystate/verbs/driver"
)

// Provider opens the RDMA devices that the kernel has.
type Provider struct{}

// Name returns "ibv".
func (Provider) Name() string { return "ibv" }

// Devices lists the kernel's RDMA devices; driver.ErrNotSupported if there are none.
//
// Implements:
//
//	struct ibv_device **ibv_get_device_list(int *num_devices);
//	void ibv_free_device_list(struct ibv_device **list);
//	const char *ibv_get_device_name(struct ibv_device *device);
func (Provider) Devices() ([]string, error) {
	var names []string
	err := eachDevice(func(dev *C.struct_ibv_device) error {
		names = append(names, C.GoString(C.ibv_get_device_name(dev)))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return names, nil
}

func eachDevice(f func(*C.struct_ibv_device) error) error {
	var n C.int
	list, err := C.ibv_get_device_list(&n)
	if list == nil {
		return fmt.Errorf("list RDMA devices: %w", fail("ibv_get_device_list", err))
	}
	defer C.ibv_free_device_list(list)
	if n == 0 {
		return fmt.Errorf("list RDMA devices: %w: this machine has none", driver.ErrNotSupported)
	}
	for _, dev := range unsafe.Slice(list, n) {
		if err := f(dev); err != nil {
			return err
		}
	}
	return nil
}

// Open opens the device of that name; the only one if the name is empty.
//
// Implements:
//
//	struct ibv_context *ibv_open_device(struct ibv_device *device);
func (p Provider) Open(ctx context.Context, name string) (driver.Device, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name, err := p.choose(name)
	if err != nil {
		return nil, err
	}
	var c *C.struct_ibv_context
	err = eachDevice(func(dev *C.struct_ibv_device) error {
		if c != nil || C.GoString(C.ibv_get_device_name(dev)) != name {
			return nil
		}
		var err error
		if c, err = C.ibv_open_device(dev); c == nil {
			return fail("ibv_open_device", err)
		}
		return nil
	})
	if err == nil && c == nil {
		err = fail("ibv_open_device", syscall.ENODEV) // gone since it was listed
	}
	if err != nil {
		return nil, fmt.Errorf("open RDMA device %s: %w", name, err)
	}
	d, err := newDevice(c, name)
	if err != nil {
		return nil, fmt.Errorf("open RDMA device %s: %w", name, err)
	}
	return d, nil
}

func (p Provider) choose(name string) (string, error) {
	names, err := p.Devices()
	switch {
	case err != nil:
		return "", err
	case name == "" && len(names) == 1:
		return names[0], nil
	case !slices.Contains(names, name):
		return "", fmt.Errorf("open RDMA device %q: there are %v", name, names)
	}
	return name, nil
}
