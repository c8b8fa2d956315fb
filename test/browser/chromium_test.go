// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"context"
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"

	"lazystate/internal/netrig"
	"lazystate/mtcp/keeper/keepertest"
)

// chromium starts a browser on a machine and returns what drives it.
func chromium(t *testing.T, h *netrig.Host) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v: tools/bootstrap.sh installs it", err)
	}
	enter, err := exec.LookPath("nsenter")
	must(t, err)
	there := chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
		cmd.Args = append([]string{enter, "--net=" + h.Path(), "--", cmd.Path}, cmd.Args[1:]...)
		cmd.Path = enter
	})
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("no-proxy-server", true), there)...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*keepertest.Hang)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
