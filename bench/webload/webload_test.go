// SPDX-License-Identifier: Apache-2.0

package webload

import (
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// The law has what is known of the paper's trace (§2.7.2).
func TestPaperSizes(t *testing.T) {
	all := sizes()
	sum := 0
	for _, n := range all {
		sum += n
	}
	if mean := sum / len(all); mean < 15<<10 || mean > 23<<10 {
		t.Errorf("the mean is %d bytes, the paper's replies have 19 KB", mean)
	}
	if p90 := all[len(all)*9/10]; !slices.IsSorted(all) || p90 >= 128<<10 {
		t.Errorf("the 90th percentile is %d bytes, the paper's is under 128 KB", p90)
	}
}

func TestWhole(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
	for text, good := range map[string]bool{ok + "abc": true, ok + "ab": false, ok + "abcd": false, "": false, "HTTP/1.1 404 No\r\n\r\nabc": false} {
		if err := whole(iotest.OneByteReader(strings.NewReader(text)), 3); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
		if err := whole(strings.NewReader(text), 3); (err == nil) != good {
			t.Errorf("%q at once: %v", text, err)
		}
	}
}
