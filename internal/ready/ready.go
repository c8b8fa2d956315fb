// SPDX-License-Identifier: Apache-2.0

package ready

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Now returns which of events fd is ready for now, and POLLERR, POLLHUP and
// POLLNVAL if they apply.
func Now(fd uintptr, events int16) (int16, error) {
	p := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		_, err := unix.Poll(p, 0)
		if err == nil {
			return p[0].Revents, nil
		}
		if err != unix.EINTR {
			return 0, fmt.Errorf("poll: %w", err)
		}
	}
}
