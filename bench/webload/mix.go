// SPDX-License-Identifier: Apache-2.0

package webload

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
)

// The trace of §2.7.2 is not published. What is known of it: replies of 19 KB on
// average, nine of ten under 128 KB, few large ones. A log-normal law with the
// median of 4 KB has these.
const (
	files  = 400
	median = 4 << 10
	sigma  = 1.75
	most   = 8 << 20
)

// sizes of all files: the middle of each four-hundredth of the law.
func sizes() []int {
	all := make([]int, files)
	for i := range all {
		z := math.Sqrt2 * math.Erfinv(2*(float64(i)+0.5)/files-1)
		all[i] = min(most, int(median*math.Exp(sigma*z)))
	}
	return all
}

// Write makes the files in a folder for a server, and returns their sizes; done
// removes it.
func Write() (root string, all []int, done func(), err error) {
	root, err = os.MkdirTemp("", "webload-")
	if err != nil {
		return "", nil, nil, err
	}
	done = func() { os.RemoveAll(root) }
	if all, err = write(root); err != nil {
		done()
		return "", nil, nil, err
	}
	return root, all, done, nil
}

func write(root string) ([]int, error) {
	all := sizes()
	b := make([]byte, most)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	for i, n := range all {
		if err := os.WriteFile(filepath.Join(root, name(i)), b[:n], 0o644); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func name(i int) string { return fmt.Sprintf("f%d", i) }
