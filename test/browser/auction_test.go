// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"lazystate/examples/mortal"
	"lazystate/examples/outcome/pgtest"
	"lazystate/internal/netrig"
	"lazystate/tools/lab"
)

const middle = "mt1=10.9.0.11:9000"

// auction is two front ends and a middle tier.
func auction(t *testing.T, r *netrig.Rig, dsn string, service netip.Prefix) (fe1 *mortal.Machine, rescuer *mortal.Rescuer) {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "auction")
	build := exec.Command("go", "build", "-o", bin, "./examples/auction")
	build.Dir = "../.." // the main module's libraries are not all ours
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.Command(bin, "init", "--database", dsn, "--categories", "1", "--users", "2", "--items", "3").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	mt := mortal.New(t, r.Host("mt1"))
	mt.Addr("10.9.0.11/24")
	mt.Program(bin, "middle", "--name", "mt1", "--keeper", mt.Socket, "--listen", "0.0.0.0:9000", "--database", dsn)
	var fe [2]*mortal.Machine
	for i := range fe {
		m := mortal.New(t, r.Host(fmt.Sprintf("fe%d", i+1)))
		m.Addr(fmt.Sprintf("10.9.0.%d/24", i+1))
		m.Program(bin, "front", "--keeper", m.Socket, "--listen", "0.0.0.0:8000", "--control", "127.0.0.1:8001", "--middle", middle)
		fe[i] = m
	}
	fe[0].Addr(service.String())
	return fe[0], fe[1].Rescuer()
}

// A page is open and a bid is made, the front end's machine dies, and another bid is
// made: the page notices nothing, and the database has both, once.
func TestAuctionPage(t *testing.T) {
	if err := netrig.Usable(); err != nil {
		lab.Skip(t, err.Error())
	}
	dsn := pgtest.New(t, "")
	service := netip.MustParsePrefix("10.9.0.100/24")
	r := netrig.New(t, "client", "fe1", "fe2", "mt1")
	r.Host("client").Addr("10.9.0.9/24")
	fe1, rescuer := auction(t, r, dsn, service)
	ctx := chromium(t, r.Host("client"))
	const button = chromedp.CSS(`#items tr:first-child button`)
	bid := func(n int) {
		t.Helper()
		must(t, chromedp.Do(ctx, chromedp.Click(button), chromedp.WaitReady(chromedp.CSS(fmt.Sprintf(`#said p.bid:nth-last-child(%d)`, n)))))
	}
	answers := func() int {
		t.Helper()
		n, err := chromedp.Run(ctx, chromedp.Evaluate[int]("answers"))
		must(t, err)
		return n
	}
	must(t, chromedp.Do(ctx, chromedp.Navigate("http://10.9.0.100:8000/"), chromedp.WaitReady(button)))
	bid(1)
	before := answers()
	report := rescuer.Salvage(fe1.Die(service), service)
	t.Logf("%d sessions, %v", report.Saved(), report.Steps)
	if report.Saved() == 0 || report.Saved() != len(report.Sessions) {
		t.Errorf("%+v", report.Sessions)
	}
	bid(2)
	if after := answers(); after <= before {
		t.Errorf("%d answers before, %d after: the page was loaded anew", before, after)
	}
	wait, err := chromedp.Run(ctx, chromedp.Text(chromedp.ID("wait")))
	must(t, err)
	t.Log(wait)
	if n := pgtest.Column[int64](t, dsn, "SELECT count(*) FROM bids"); n[0] != 2 {
		t.Errorf("%d bids in the database", n[0])
	}
	if n := pgtest.Column[int64](t, dsn, "SELECT count(*) FROM users WHERE request <> ''"); n[0] != 1 {
		t.Errorf("%d users have registered", n[0])
	}
}
