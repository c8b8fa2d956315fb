// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

// Gauge reads V of one sensor, eight bytes at a time.
type Gauge struct {
	t    *backdoor.Target
	box  backdoor.Region
	off  uint64
	Unit string
	Name string
}

// ErrNoSensor: no sensor of the box has the name.
var ErrNoSensor = errors.New("no such sensor")

// NewGauge finds a sensor by name in the target's own box.
func NewGauge(ctx context.Context, t *backdoor.Target, name string) (*Gauge, error) {
	box, err := t.Region(uapi.KindSensorbox)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, min(box.Len, uapi.SboxPages*4096))
	if err := t.Do(ctx, box.Read(0, raw)); err != nil {
		return nil, fmt.Errorf("find sensor %s: %w", name, err)
	}
	var have []string
	for off := uapi.SboxSize; off+uapi.SensorSize <= len(raw); off += uapi.SensorSize {
		var s uapi.Sensor
		if err := s.Decode(raw[off:]); err != nil || s.ID == 0 {
			continue
		}
		n := uapi.CString(s.Name[:])
		if n == name {
			return &Gauge{t: t, box: box, off: uint64(off) + uapi.SensorValueOff, Unit: uapi.CString(s.Unit[:]), Name: n}, nil
		}
		have = append(have, n)
	}
	return nil, fmt.Errorf("find sensor %s among %v: %w", name, have, ErrNoSensor)
}

// Read returns V now.
func (g *Gauge) Read(ctx context.Context) (uint64, error) {
	b := make([]byte, 8)
	if err := g.t.Do(ctx, g.box.Read(g.off, b)); err != nil {
		return 0, fmt.Errorf("read sensor %s: %w", g.Name, err)
	}
	return binary.LittleEndian.Uint64(b), nil
}
