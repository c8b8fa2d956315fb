// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	text := "7 (a b) c) S 1 7 7 0 -1 4194560 1 2 3 4 50 6 7 8 20 0 1 0 12345 99 1\n"
	if p, err := parseStat([]byte(text)); err != nil || p.cpu != 560*time.Millisecond || p.started != 123450*time.Millisecond {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []string{"", "7 (x) S 1 2", strings.Replace(text, "12345", "x", 1)} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if p, err := stat(os.Getpid()); err != nil || p.started <= 0 {
		t.Errorf("of this process: %+v, %v", p, err)
	}
}
