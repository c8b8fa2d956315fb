// SPDX-License-Identifier: Apache-2.0

package verbs

import (
	"context"
	"sync"
)

// opened are the devices of Dial and Listen, by URL: two of one URL would want
// the same UDP port.
var opened struct {
	sync.Mutex
	m map[string]*sharedDevice
}

// sharedDevice is a device that several connections use.
type sharedDevice struct {
	*Device
	url  string
	refs int // under opened
}

func acquire(ctx context.Context, url string) (*sharedDevice, error) {
	opened.Lock()
	defer opened.Unlock()
	s := opened.m[url]
	if s == nil {
		d, err := Open(ctx, url)
		if err != nil {
			return nil, err
		}
		s = &sharedDevice{Device: d, url: url}
		if opened.m == nil {
			opened.m = map[string]*sharedDevice{}
		}
		opened.m[url] = s
	}
	s.refs++
	return s, nil
}

// again returns s for one more user.
func (s *sharedDevice) again() *sharedDevice {
	opened.Lock()
	defer opened.Unlock()
	s.refs++
	return s
}

// release closes the device after its last user.
func (s *sharedDevice) release() error {
	opened.Lock()
	defer opened.Unlock()
	if s.refs--; s.refs > 0 {
		return nil
	}
	delete(opened.m, s.url)
	return s.Device.Close()
}
