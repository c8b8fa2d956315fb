// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/inic"
	"lazystate/backdoor/uapi"
)

// Files is a target without a machine: a synthetic kernel's memory in two
// files, mapped by the same carrier as a VM's.
type Files struct {
	Target  *backdoor.Target
	Kernel  *bdtest.Target
	Sensors []uint32 // ids

	memory   backdoor.Memory
	dir      string
	mappings [][]byte
}

const filesRAM = 16 << 20

// NewFiles makes the files in memory, with n progress sensors.
func NewFiles(ctx context.Context, n int) (*Files, error) {
	f := &Files{}
	if err := f.open(ctx, n); err != nil {
		return nil, errors.Join(fmt.Errorf("make a target in files: %w", err), f.Close())
	}
	return f, nil
}

func (f *Files) open(ctx context.Context, n int) (err error) {
	if f.dir, err = os.MkdirTemp("/dev/shm", "lazystate-bench-"); err != nil {
		return err
	}
	ram, err := f.mapNew("ram", filesRAM)
	if err != nil {
		return err
	}
	bar, err := f.mapNew("bar", 4096)
	if err != nil {
		return err
	}
	f.Kernel = bdtest.New(bdtest.WithBacking(ram, bar))
	for i := range n {
		f.Sensors = append(f.Sensors, f.Kernel.SetSensor(bdtest.Sensor{
			Class: uapi.Progress, Flags: uapi.SensorClock, Limit: 3600e6, Name: fmt.Sprintf("progress%d", i), Unit: "ticks",
		}))
	}
	if f.memory, err = f.Open(ctx); err != nil {
		return err
	}
	f.Target, err = backdoor.Open(ctx, f.memory)
	return err
}

// RAM is the path of the memory file.
func (f *Files) RAM() string { return filepath.Join(f.dir, "ram") }

// Open maps the files again, for reading, as a monitor does.
func (f *Files) Open(context.Context) (backdoor.Memory, error) {
	return inic.Open(inic.Options{RAMPath: f.RAM(), BARPath: filepath.Join(f.dir, "bar"), PID: os.Getpid()})
}

func (f *Files) mapNew(name string, size int) ([]byte, error) {
	file, err := os.OpenFile(filepath.Join(f.dir, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := file.Truncate(int64(size)); err != nil {
		return nil, err
	}
	b, err := unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", name, err)
	}
	f.mappings = append(f.mappings, b)
	return b, nil
}

// Close removes the files.
func (f *Files) Close() error {
	var errs []error
	if f.memory != nil {
		errs = append(errs, f.memory.Close())
	}
	for _, m := range f.mappings {
		errs = append(errs, unix.Munmap(m))
	}
	if f.dir != "" {
		errs = append(errs, os.RemoveAll(f.dir))
	}
	return errors.Join(errs...)
}
