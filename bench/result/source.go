// SPDX-License-Identifier: Apache-2.0

package result

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// measured leaves out of a look at the tree what a bench itself writes.
const measured = ":(exclude,top)bench/results"

// Source is the commit of the tree around the working directory, and whether
// the tree is that commit: "<hash> clean" or "<hash> with N changed files".
func Source(ctx context.Context) (string, error) {
	head, err := git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return "", err
	}
	status, err := git(ctx, "status", "--porcelain", "--", ":(top)", measured)
	if err != nil {
		return "", err
	}
	if status == "" {
		return head + " clean", nil
	}
	return fmt.Sprintf("%s with %d changed files", head, 1+strings.Count(status, "\n")), nil
}

// SameSource reports whether the code of the tree is that of a clean commit
// that Source named: no program, no module and no version has changed since.
func SameSource(ctx context.Context, source string) bool {
	head, clean := strings.CutSuffix(source, " clean")
	if !clean {
		return false
	}
	_, err := git(ctx, "diff", "--quiet", head, "--", ":(top)*.go", ":(top)*.c", ":(top)*.cpp", ":(top)*.h", ":(top)go.mod", ":(top,exclude)*_test.go")
	return err == nil
}

// git takes no lock, so that one that is killed by ctx leaves none behind.
func git(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", append([]string{"--no-optional-locks"}, args...)...).Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Load is the host's load averages of 1, 5 and 15 minutes, now.
func Load() string {
	f := strings.Fields(read("/proc/loadavg"))
	return strings.Join(f[:min(3, len(f))], " ")
}

// qemu is the version of the emulator, empty if there is none.
func qemu() string {
	out, err := exec.Command("qemu-system-x86_64", "--version").Output()
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimPrefix(first, "QEMU emulator version ")
}

func read(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "" // check refuses a figure without its machine
	}
	return string(b)
}
