// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"lazystate/internal/goprogram"
	"lazystate/internal/netrig"
	"lazystate/mtcp/steer"
	"lazystate/tools/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m, 1)) }

// The demonstration shows what it says.
func TestDemo(t *testing.T) {
	if err := netrig.Usable(); err != nil {
		lab.Skip(t, err.Error())
	}
	if err := steer.Probe(); err != nil {
		lab.Skip(t, err.Error())
	}
	if _, err := exec.LookPath("curl"); err != nil {
		lab.Skip(t, "there is no curl")
	}
	bin := t.TempDir()
	if err := goprogram.Build(t.Context(), bin, "lazystate/tools/scd", "lazystate/tools/mtcpd", "lazystate/examples/web"); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run(context.Background(), []string{"mtcpdemo", "--bin", bin, "--size", "24", "--rate", "8", "--drained", "3"}, strings.NewReader(""), &out, &errs); code != 0 {
		t.Fatalf("exit %d: %s%s", code, &out, &errs)
	}
	for _, want := range []string{"move by client from s3 to s1: 1 session", "move by takeover from s1 to s3: 1 session", "move by gateway from s3 to s2: 1 session", "drain by client from s3 to s1: 3 session"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no word of %q in\n%s", want, &out)
		}
	}
}
