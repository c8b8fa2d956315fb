// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
)

// device is /dev/backdoor: one open file, one page of sensors.
type device struct {
	f    *os.File
	page []byte
}

func openDevice() (*device, error) {
	f, err := os.OpenFile("/dev/backdoor", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open the module's device: %w", err)
	}
	return &device{f: f}, nil
}

func (d *device) Close() error { return d.f.Close() }

func (d *device) ioctl(what string, req uint, buf []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, d.f.Fd(), uintptr(req), uintptr(unsafe.Pointer(&buf[0])))
	if errno != 0 {
		return fmt.Errorf("%s: %w", what, errno)
	}
	return nil
}

func (d *device) setKey(slot uint32, key uapi.Key) error {
	req := uapi.IOCKey{Version: uapi.VersionMajor, Monitor: slot, Key: key}
	return d.ioctl(fmt.Sprintf("set key of monitor %d", slot), uapi.IoctlSetKey, req.Encode())
}

func (d *device) revokeKey(slot uint32) error {
	req := uapi.IOCKey{Version: uapi.VersionMajor, Monitor: slot, Revoke: 1}
	return d.ioctl(fmt.Sprintf("revoke key of monitor %d", slot), uapi.IoctlSetKey, req.Encode())
}

func (d *device) addForeign(w uapi.Foreign) error {
	req := uapi.IOCForeign{Version: uapi.VersionMajor, Word: w}
	return d.ioctl("register foreign word "+uapi.CString(w.Name[:]), uapi.IoctlAddForeign, req.Encode())
}

// newSensor is new_sensor() of §3.4.1; set_sensor_value is a store to the word.
func (d *device) newSensor(id uint32, class uint8, flags uint16, limit uint64, name, unit string) (*atomic.Uint64, error) {
	req := uapi.IOCSensor{Version: uapi.VersionMajor, ID: id, Class: class, Flags: flags, Limit: limit}
	uapi.PutCString(req.Name[:], name)
	uapi.PutCString(req.Unit[:], unit)
	buf := req.Encode()
	err := d.ioctl("adopt sensor "+name, uapi.IoctlAdoptSensor, buf)
	if err != nil { // no orphan of an earlier agent
		buf = req.Encode()
		err = d.ioctl("create sensor "+name, uapi.IoctlNewSensor, buf)
	}
	if err != nil {
		return nil, err
	}
	if err := req.Decode(buf); err != nil {
		return nil, err
	}
	if d.page == nil {
		if d.page, err = unix.Mmap(int(d.f.Fd()), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
			return nil, fmt.Errorf("map sensors: %w", err)
		}
	}
	if uint64(req.Offset)+8 > uint64(len(d.page)) || req.Offset%8 != 0 {
		return nil, fmt.Errorf("create sensor %s: the module says offset %d", name, req.Offset)
	}
	return (*atomic.Uint64)(unsafe.Pointer(&d.page[req.Offset])), nil
}
