// SPDX-License-Identifier: Apache-2.0

package useful

import (
	"fmt"
	"strconv"
	"strings"
)

// Sizes is a flag: numbers of processes, "100,200".
type Sizes []int

func (s *Sizes) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint([]int(*s)), " ", ","), "[]")
}

// Set implements flag.Value.
func (s *Sizes) Set(text string) error {
	var sizes Sizes
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 {
			return fmt.Errorf("number of processes %q", part)
		}
		sizes = append(sizes, n)
	}
	*s = sizes
	return nil
}
