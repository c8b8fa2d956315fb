// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"context"

	"lazystate/verbs/driver"
)

const maxEvents = 1024 // that wait for NextEvent; more are lost, and counted

// raise queues an asynchronous event.
func (d *Device) raise(e driver.AsyncEvent) {
	select {
	case d.events <- e:
	default:
		d.count.EventsLost++
	}
}

func (d *Device) NextEvent(ctx context.Context) (driver.AsyncEvent, error) {
	select {
	case e := <-d.events:
		return e, nil
	case <-ctx.Done():
		return driver.AsyncEvent{}, context.Cause(ctx)
	case <-d.threadDone:
		return driver.AsyncEvent{}, driver.ErrClosed
	}
}
