// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestReport(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"--runs", "2", "--trips", "100"}, nil, &out, &errs); code != 0 {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"1 KB, lazy export, in place", "10 KB, import", "round trip"} {
		if us := r.US[name]; len(us) != 2 || us[0] <= 0 {
			t.Errorf("%s: %v", name, us)
		}
	}
}
