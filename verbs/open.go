// SPDX-License-Identifier: Apache-2.0

package verbs

import (
	"context"
	"fmt"
	"strings"

	"lazystate/verbs/driver"
	"lazystate/verbs/ibv"
	"lazystate/verbs/mem"
	"lazystate/verbs/roce"
	"lazystate/verbs/shm"
)

// Schemes are those of the URLs that Open takes.
var Schemes = []string{"ibv", "roce", "shm", "mem"}

func provider(scheme string) (driver.Provider, error) {
	switch scheme {
	case "ibv":
		return ibv.Provider{}, nil
	case "roce":
		return roce.Provider{}, nil
	case "shm":
		return shm.Provider{}, nil
	case "mem":
		return mem.Provider{}, nil
	}
	return nil, fmt.Errorf("unknown provider %q; there are %s: %w", scheme, strings.Join(Schemes, ", "), ErrInvalid)
}

// Open opens the device that url names by its provider: "ibv:rxe0",
// "roce://10.77.0.1?mtu=4096", "shm://name", "mem://name?seed=1".
//
// Implements:
//
//	struct ibv_context *ibv_open_device(struct ibv_device *device)
func Open(ctx context.Context, url string) (*Device, error) {
	scheme, name, _ := strings.Cut(url, ":")
	p, err := provider(scheme)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", url, err)
	}
	drv, err := p.Open(ctx, strings.TrimPrefix(name, "//"))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", url, err)
	}
	return New(drv), nil
}

// Devices lists the URLs of the devices of this machine.
//
// Implements:
//
//	struct ibv_device **ibv_get_device_list(int *num_devices)
//	void ibv_free_device_list(struct ibv_device **list)
//	const char *ibv_get_device_name(struct ibv_device *device)
func Devices() []string {
	var urls []string
	for _, scheme := range Schemes {
		p, err := provider(scheme)
		if err != nil {
			continue
		}
		names, err := p.Devices()
		if err != nil {
			continue // this machine or this build has none of them
		}
		for _, n := range names {
			urls = append(urls, scheme+"://"+n)
		}
	}
	return urls
}
