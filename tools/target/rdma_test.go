// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/guard"
	"lazystate/backdoor/nic"
	"lazystate/backdoor/uapi"
	"lazystate/internal/syncbuf"
	"lazystate/verbs"
	"lazystate/verbs/driver"
	"lazystate/verbs/roce"
	"lazystate/verbs/verbstest"
)

// served is a synthetic target behind a NIC on a real UDP socket.
func served(t *testing.T, key uapi.Key) netip.AddrPort {
	t.Helper()
	local := verbstest.Loopback()
	drv, err := roce.Open(roce.Config{Local: local})
	if err != nil {
		t.Fatal(err)
	}
	dev := verbs.New(drv)
	policy := guard.Policy{Monitors: map[uint32]guard.Monitor{3: {Key: key, Read: ^uint64(0), Write: ^uint64(0)}}}
	s, err := nic.New(nic.Options{Memory: bdtest.New().Memory(), Policy: policy, Fronts: []nic.Front{{Device: dev, Listen: netip.AddrPortFrom(local, 7777)}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		wg.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.Addr(0)
}

// Two targets by one address of ours: the device is shared, and closed with the
// last of them.
func TestOpenRDMA(t *testing.T) {
	key := uapi.Key{0: 7, 15: 9}
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte(fmt.Sprintf("%x\n", key[:])), 0o600); err != nil {
		t.Fatal(err)
	}
	mine := verbstest.Loopback()
	url := func(a netip.AddrPort) string {
		return fmt.Sprintf("rdma://%s?provider=roce&device=%s&monitor=3", a, mine)
	}
	first, err := Open(t.Context(), url(served(t, key))+"&key="+keyFile, Options{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := Open(t.Context(), url(served(t, key)), Options{Key: key, Writable: true})
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range []backdoor.Memory{first, second} {
		bt, err := backdoor.Open(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if release, _ := bt.Manifest().String("kernel_release"); release != "6.1.0-bdtest" {
			t.Errorf("kernel release %q", release)
		}
		if c := m.Caps(); c.Carrier != "rdma" || c.NeedsCPU || !c.Atomics || c.Writable != (i == 1) || c.Queues == 0 || c.Stall == 0 {
			t.Errorf("capabilities %+v", c)
		}
	}
	for _, m := range []backdoor.Memory{first, second} {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(devices.byName) != 0 {
		t.Errorf("%d devices are still open", len(devices.byName))
	}
}

func TestOpenRDMANeedsAKey(t *testing.T) {
	if _, err := Open(t.Context(), "rdma://127.0.0.1", Options{}); err == nil || !strings.Contains(err.Error(), "key") {
		t.Errorf("without a key: %v", err)
	}
	if _, err := Open(t.Context(), "rdma://127.0.0.1?key=/nowhere", Options{}); err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("without its file: %v", err)
	}
	if len(devices.byName) != 0 {
		t.Errorf("%d devices are open", len(devices.byName))
	}
}

// A device of the kernel's that this process may not open is passed over where the URL
// names no provider, and the log says why; where it names one that is the error.
func TestAnRDMADeviceThatCannotBeOpened(t *testing.T) {
	refused := errors.New("open /dev/infiniband/uverbs0: permission denied")
	local := verbstest.Loopback()
	set := &deviceSet{byName: map[string]*shared{}, list: func() []string { return []string{"ibv://mlx5_0", "ibv://elsewhere", "roce://" + local.String()} }}
	var roceErr error
	set.dial = func(ctx context.Context, name string) (*verbs.Device, error) {
		switch {
		case name == "ibv://mlx5_0":
			return nil, refused
		case name == "ibv://elsewhere":
			return verbs.Open(ctx, "mem://"+t.Name())
		case roceErr != nil:
			return nil, roceErr
		}
		return verbs.Open(ctx, name)
	}
	var text syncbuf.Buffer
	log := slog.New(slog.NewTextHandler(&text, nil))

	dev, err := (&RDMA{}).device(t.Context(), set, local, log)
	if err != nil {
		t.Fatal(err)
	}
	if got := dev.Attr().Provider; got != "roce" {
		t.Errorf("a device of %s", got)
	}
	if !strings.Contains(text.String(), refused.Error()) {
		t.Errorf("the log does not say why: %q", text.String())
	}
	if err := dev.release(); err != nil || len(set.byName) != 0 {
		t.Errorf("%d devices are open: %v", len(set.byName), err)
	}
	if _, err := (&RDMA{Provider: "ibv"}).device(t.Context(), set, local, log); !errors.Is(err, refused) || !errors.Is(err, driver.ErrNotSupported) {
		t.Errorf("of ibv: %v", err)
	}
	roceErr = errors.New("listen: port 4791 is taken")
	if _, err := (&RDMA{}).device(t.Context(), set, local, log); !errors.Is(err, refused) || !errors.Is(err, roceErr) {
		t.Errorf("neither can be opened: %v", err)
	}
}
