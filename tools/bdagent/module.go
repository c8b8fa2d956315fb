// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// loadModule is finit_module. A module that is loaded already is left as it is,
// and note says so: what arms it counts at its load alone.
func loadModule(path, params string, note io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("load module: %w", err)
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), params, 0)
	if errors.Is(err, unix.EEXIST) {
		fmt.Fprintf(note, "note: the module of %s was loaded before: its parameters stay, and %q does not count\n", path, params)
		return nil
	}
	if err != nil {
		return fmt.Errorf("load module %s %s: %w", path, params, err)
	}
	return nil
}
