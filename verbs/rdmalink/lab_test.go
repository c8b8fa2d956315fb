// SPDX-License-Identifier: Apache-2.0

package rdmalink

import (
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"lazystate/tools/lab"
	"lazystate/verbs/driver"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m, 1)) }

// A link over the second network device, for the first has one from the start.
const (
	link   = "rxe_test"
	netdev = "eth1"
)

var linkAddr = netip.MustParseAddr("10.77.1.2")

func TestOnGuest(t *testing.T) {
	if lab.InGuest() {
		t.Skip("this is the guest")
	}
	for _, kernel := range []string{"6.1", "6.12"} {
		t.Run(kernel, func(t *testing.T) {
			vm := lab.Shared(t, lab.Config{
				Kernel: kernel, NICs: []lab.NIC{{Addr: "10.77.0.2/24", RXE: true}, {Addr: linkAddr.String() + "/24"}},
			})
			lab.RunTest(t, vm, "./verbs/rdmalink", "-test.run=TestAddAndDelete|TestAddToNothing")
		})
	}
}

func TestAddAndDelete(t *testing.T) {
	if !lab.InGuest() {
		t.Skip("makes devices in the kernel: TestOnGuest runs it")
	}
	if err := Add(link, netdev); err != nil {
		t.Fatal(err)
	}
	if err := Add(link, netdev); err == nil {
		t.Error("added twice")
	}
	if devs, err := System.Devices(); err != nil || !slices.Equal(devs, []string{"rxe0", link}) {
		t.Errorf("devices %v, %v", devs, err)
	}
	if dev, port, err := System.ByNetdev(netdev); dev != link || port != 1 || err != nil {
		t.Errorf("over %s: %q, port %d, %v", netdev, dev, port, err)
	}
	if name, err := System.Netdev(link, 1); name != netdev || err != nil {
		t.Errorf("%s is over %q, %v", link, name, err)
	}
	dev, gid := byAddr(t, linkAddr)
	if dev != link || gid.Netdev != netdev || gid.Type != driver.GIDRoCEv2 || gid.Index < 1 {
		t.Errorf("%v is of %q: %+v", linkAddr, dev, gid)
	}
	if files := CharDevices(link); len(files) == 0 {
		t.Error("no files in /dev")
	}
	if err := Delete(link); err != nil {
		t.Fatal(err)
	}
	if devs, err := System.Devices(); err != nil || !slices.Equal(devs, []string{"rxe0"}) {
		t.Errorf("devices %v, %v", devs, err)
	}
	if err := Delete(link); err == nil {
		t.Error("deleted twice")
	}
}

// byAddr waits until a fresh link has filled its table.
func byAddr(t *testing.T, a netip.Addr) (string, driver.GIDEntry) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		dev, _, gid, err := System.ByAddr(a)
		if err == nil {
			return dev, gid
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
