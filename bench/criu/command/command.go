// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Run has the program dump, or restore, with its images in a folder, and returns how
// long it took.
func Run(ctx context.Context, program, images, what string, args ...string) (time.Duration, error) {
	log := what + ".log"
	cmd := exec.CommandContext(ctx, program, append([]string{what, "--images-dir", images, "--log-file", log}, args...)...)
	start := time.Now()
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(filepath.Join(images, log))
		return 0, fmt.Errorf("criu %s: %w: %s", what, err, said[max(0, len(said)-1000):])
	}
	return time.Since(start), nil
}

// PID is the process that restore has made, by its --pidfile.
func PID(file string) (int, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid < 2 {
		return 0, fmt.Errorf("criu's pid file says %q", b)
	}
	return pid, nil
}
