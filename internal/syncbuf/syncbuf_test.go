// SPDX-License-Identifier: Apache-2.0

package syncbuf

import (
	"strings"
	"sync"
	"testing"
)

// Lines of many writers stay whole, and a reader sees only whole ones.
func TestWritersAndReader(t *testing.T) {
	const writers, lines = 4, 200
	var b Buffer
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range lines {
				if n, err := b.Write([]byte("line\n")); n != 5 || err != nil {
					t.Errorf("%d bytes, %v", n, err)
				}
			}
		})
	}
	for range lines {
		if rest := strings.ReplaceAll(b.String(), "line\n", ""); rest != "" {
			t.Errorf("a torn line %q", rest)
		}
	}
	wg.Wait()
	if got := strings.Count(b.String(), "line\n"); got != writers*lines {
		t.Errorf("%d lines of %d", got, writers*lines)
	}
}
