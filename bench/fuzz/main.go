// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lazystate/bench/result"
)

func main() {
	long := flag.Duration("time", 30*time.Second, "for each target")
	only := flag.String("only", "", "targets whose package and name match `REGEXP`")
	out := flag.String("out", "bench/results/soak-fuzz.json", "record them in `FILE`")
	flag.Parse()
	if *long <= 0 {
		fmt.Fprintln(os.Stderr, "fuzz: --time: a search has an end")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := fuzz(ctx, *long, *only, *out); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		stop()
		os.Exit(1)
	}
}

func fuzz(ctx context.Context, long time.Duration, only, out string) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	all, err := targets(ctx)
	if err != nil {
		return err
	}
	var failed []string
	for _, t := range all {
		if !wanted.MatchString(t.String()) {
			continue
		}
		good, err := t.search(ctx, long, out)
		if err != nil {
			return err
		}
		if !good {
			failed = append(failed, t.String())
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("failed: %s", strings.Join(failed, ", "))
	}
	return nil
}

// target is one fuzz target.
type target struct{ pkg, name string }

func (t target) String() string { return t.pkg + "." + t.name }

// search runs the engine on it and records what came of it. Its error is not the
// target's, but that of who runs it.
func (t target) search(ctx context.Context, long time.Duration, out string) (good bool, err error) {
	s := result.Soak{Test: t.String(), Runs: 1, Begun: time.Now().UTC().Truncate(time.Second)}
	began := time.Now()
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$",
		"-fuzztime", long.String(), "-timeout", (long + 10*time.Minute).String(), t.pkg)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // go, the test and its workers
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	text, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	s.Good, s.Took = err == nil, time.Since(began).Round(time.Second).Seconds()
	s.Counts = counts(string(text))
	if s.Good && s.Counts[executions] == 0 {
		return false, fmt.Errorf("%s was not run:\n%s", t, text)
	}
	if !s.Good {
		os.Stdout.Write(text)
	}
	fmt.Printf("%s: good: %v, %v\n", t, s.Good, s.Counts)
	return s.Good, s.Save(ctx, out)
}

const executions, found = "executions", "inputs that reached new code"

// progress is the engine's line, such as
// "fuzz: elapsed: 3s, execs: 1226 (408/sec), new interesting: 5 (total: 12)".
var progress = regexp.MustCompile(`execs: (\d+) .*new interesting: (\d+)`)

// counts are those of the last line that the engine printed.
func counts(text string) map[string]int {
	c := map[string]int{executions: 0, found: 0}
	if all := progress.FindAllStringSubmatch(text, -1); len(all) > 0 {
		last := all[len(all)-1]
		c[executions], _ = strconv.Atoi(last[1]) // digits
		c[found], _ = strconv.Atoi(last[2])
	}
	return c
}
