// SPDX-License-Identifier: Apache-2.0

package escrow

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// errNobody: there is no holder.
var errNobody = errors.New("nobody holds anything")

// Empty has the holder at a path, if there is one, let go of all that is left there,
// and end: no daemon is to come for it. It returns how much that was.
func Empty(path string) (int, error) {
	c, left, err := find(path, func(*os.File) error { return errNobody })
	if errors.Is(err, errNobody) || errors.Is(err, unix.ENOENT) {
		return 0, nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("a daemon has it: %w", err)
	}
	if err != nil {
		return 0, fmt.Errorf("escrow: %w", err)
	}
	defer c.Close()
	if err := letGo(c, left); err != nil {
		return 0, fmt.Errorf("escrow: %w", err)
	}
	return len(left), nil
}

// letGo drops all that is left, and waits until the holder has hung up after that.
func letGo(c *net.UnixConn, left []Item) error {
	var keys []Key
	for _, it := range left {
		it.Close()
		keys = append(keys, it.Key)
	}
	err := c.SetDeadline(time.Now().Add(answerBound))
	for some := range slices.Chunk(keys, mostDrops) {
		err = errors.Join(err, send(c, encode(drop, keysOnly(some)...)))
	}
	if err = errors.Join(err, c.CloseWrite()); err != nil {
		return err
	}
	if _, _, _, err = newBuffers().receive(c); errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
