// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

// foreignWords are kernel words that no module may name but a monitor reads
// (DECISIONS 11). The module publishes their addresses and never follows them.
var foreignWords = []struct {
	symbol string
	size   uint32
	flags  uint32
}{
	{backdoor.PerCPUOffsets, 8 * uapi.MaxCPUs, 0},
	{backdoor.ProcessCounts, 8, backdoor.ForeignPerCPU | backdoor.ForeignSum},
}

// registerForeign returns the symbols that this kernel does not show.
func (d *device) registerForeign(kallsyms string) (missing []string, err error) {
	f, err := os.Open(kallsyms)
	if err != nil {
		return nil, fmt.Errorf("foreign words: %w", err)
	}
	defer f.Close()
	addrs, err := lookUp(f)
	if err != nil {
		return nil, fmt.Errorf("foreign words: %s: %w", kallsyms, err)
	}
	for _, w := range foreignWords {
		addr, ok := addrs[w.symbol]
		if !ok || addr == 0 && w.flags&backdoor.ForeignPerCPU == 0 {
			missing = append(missing, w.symbol)
			continue
		}
		word := uapi.Foreign{Addr: addr, Size: w.size, Flags: w.flags}
		uapi.PutCString(word.Name[:], w.symbol)
		if err := d.addForeign(word); err != nil {
			return missing, err
		}
	}
	return missing, nil
}

// lookUp finds the wanted symbols; an address of 0 means that kptr_restrict
// hides it. Symbols of modules have a fourth field and do not count.
func lookUp(r io.Reader) (map[string]uint64, error) {
	wanted := map[string]bool{}
	for _, w := range foreignWords {
		wanted[w.symbol] = true
	}
	found := map[string]uint64{}
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) != 3 || !wanted[f[2]] {
			continue
		}
		addr, err := strconv.ParseUint(f[0], 16, 64)
		if err != nil {
			return nil, err
		}
		found[f[2]] = addr
	}
	return found, sc.Err()
}
