// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	ucli "github.com/urfave/cli/v2"

	"lazystate/dsm/client"
	"lazystate/internal/cli"
	"lazystate/internal/goprogram"
	"lazystate/internal/leash"
	"lazystate/tools/dsmd/settings"
	"lazystate/tools/dsmd/status"
	"lazystate/verbs/verbstest"
)

// The programs that dsmrun runs here are this test's binary.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(client.SocketVariable) != "":
	case os.Getenv("DSM_TEST_RUN") != "": // dsmrun itself
		os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr))
	default:
		code := m.Run()
		if built != "" {
			_ = os.RemoveAll(built)
		}
		os.Exit(code)
	}
	err := client.Main(programs[os.Args[1]])
	var code exitCode
	switch {
	case errors.As(err, &code):
		os.Exit(int(code))
	case err != nil:
		fmt.Fprintln(os.Stderr, "program:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

type exitCode int

func (e exitCode) Error() string { return "chosen" }

var programs = map[string]func(*client.Node) error{
	"count": counting(true), "unsaved": counting(false), "points": points, "stumble": stumble, "race": race, "hungry": hungry, "starved": starved,
	"crash": func(*client.Node) error { return syscall.Kill(os.Getpid(), syscall.SIGKILL) },
	"echo": func(n *client.Node) error {
		n.Barrier()
		b, err := io.ReadAll(os.Stdin)
		fmt.Printf("%s!", b)
		return err
	},
	"fail": func(n *client.Node) error {
		n.Barrier()
		if n.ID() == 1 {
			return exitCode(7)
		}
		n.Barrier()
		return nil
	},
}

const rounds = 25

// counting makes the program count, with a checkpoint a round or without.
func counting(saved bool) func(*client.Node) error {
	return func(n *client.Node) error { return count(n, saved) }
}

// count has all nodes count under a lock, and each look at what all others have
// written. What it prints must not depend on whether a node was lost.
func count(n *client.Node, saved bool) error {
	counters := client.Slice[uint32](n, 3)
	own := client.Slice[uint32](n, n.Nodes()) // false sharing
	lock := n.Locks(1)
	var seen uint64
	n.Private("seen", &seen)
	n.Run(func(k int) bool {
		n.Lock(lock)
		for i := range counters {
			counters[i] += uint32(i + 1)
		}
		n.Unlock(lock)
		own[n.ID()] += uint32(k * (n.ID() + 1))
		n.Barrier()
		for _, v := range own {
			seen = seen*31 + uint64(v)
		}
		seen += uint64(counters[2])
		if saved {
			n.Checkpoint()
		}
		n.Barrier()
		return k+1 < rounds
	})
	if n.ID() == 0 {
		fmt.Println(counters, seen)
	}
	return nil
}

var (
	built     string
	buildOnce sync.Once
)

// dsmd is the daemon's binary.
func dsmd(t *testing.T) string {
	t.Helper()
	buildOnce.Do(func() {
		dir, err := os.MkdirTemp("", "dsmrun-test")
		if err != nil {
			t.Fatal(err)
		}
		built = dir
		if err := goprogram.Build(context.Background(), dir, "lazystate/tools/dsmd"); err != nil {
			t.Fatal(err)
		}
	})
	return filepath.Join(built, "dsmd")
}

// record is where make soak leaves what came of it.
const record = "../../bench/results/soak-dsm.json"

// hang is how long a run may take here: one that hangs is to fail with what it said.
const hang = 5 * time.Minute

// try runs dsmrun.
func try(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	all := append([]string{"dsmrun", "--dsmd", dsmd(t), "--region", "1M"}, args...)
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	code = run(ctx, all, strings.NewReader("hello\nworld"), &out, &errs)
	return code, out.String(), errs.String()
}

// program is this binary as one.
func program(name string) []string { return []string{"--", os.Args[0], name} }

// roce is where five nodes listen on the loopback.
func roce() string {
	a := verbstest.Loopback().As4()
	return fmt.Sprintf("roce://127.%d.%d.10{}:0", a[1], a[2])
}

func TestCount(t *testing.T) {
	for nodes, more := range map[int][]string{1: nil, 2: {"--tcp"}, 3: {"--writes=sync", "--bind"}, 4: {"--homes=cyclic", "--per-page"}, 5: {"--tcp", "--rdma=" + roce()}} {
		code, out, errs := try(t, slices.Concat([]string{"-n", fmt.Sprint(nodes)}, more, program("count"))...)
		if want := fmt.Sprintf("[%d %d %d] ", rounds*nodes, 2*rounds*nodes, 3*rounds*nodes); code != cli.OK || !strings.HasPrefix(out, want) {
			t.Errorf("%d nodes, %v: exit %d, %q, not %q\n%s", nodes, more, code, out, want, errs)
		}
	}
}

// A node that is killed with its program in the midst comes back, and what comes
// out is as without.
func TestKill(t *testing.T) {
	_, want, _ := try(t, slices.Concat([]string{"-n", "3"}, program("count"))...)
	for node, how := range []string{"--tcp", "--writes=sync", "--per-page"} {
		code, out, errs := try(t, slices.Concat([]string{"-n", "3", how, "--kill", fmt.Sprintf("%d@%d", node, 41+7*node)}, program("count"))...)
		if code != cli.OK || out != want {
			t.Errorf("node %d: exit %d, %q, not %q\n%s", node, code, out, want, errs)
		}
		if !strings.Contains(errs, "is started again") || !strings.Contains(errs, "msg=recovers") {
			t.Errorf("node %d: nobody tells of a recovery:\n%s", node, errs)
		}
	}
}

// So it is over RDMA, where pages are read one-sided: out of the memory of a home that dies,
// or by a node that does.
func TestKillOverRDMA(t *testing.T) {
	_, want, _ := try(t, slices.Concat([]string{"-n", "3"}, program("count"))...)
	found := uint64(0)
	for node := range 2 {
		dir := filepath.Join(t.TempDir(), "run")
		code, out, errs := try(t, slices.Concat([]string{"-n", "3", "--tcp", "--rdma=" + roce(), "--dir", dir, "--kill", fmt.Sprintf("%d@%d", node, 41+7*node)}, program("count"))...)
		if code != cli.OK || out != want {
			t.Errorf("node %d: exit %d, %q, not %q\n%s", node, code, out, want, errs)
		}
		if lives := strings.Count(errs, "listens over RDMA"); lives != 4 || strings.Count(errs, "by=roce://127.") != lives || !strings.Contains(errs, "msg=recovers") {
			t.Errorf("node %d: %d lives with RDMA:\n%s", node, lives, errs)
		}
		reports, err := status.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range reports {
			found += r.Counters.Found
		}
	}
	if found == 0 {
		t.Error("no page was read one-sided")
	}
}

// A program that fails by itself is not started again.
func TestProgramFails(t *testing.T) {
	code, _, errs := try(t, slices.Concat([]string{"-n", "2"}, program("fail"))...)
	if code != cli.Failed || !strings.Contains(errs, "exit status 7") || strings.Contains(errs, "started again") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

// A program that does not join, or is not there, is said so.
func TestNoProgram(t *testing.T) {
	for _, p := range []string{"/bin/true", "/nonexistent/program"} {
		code, _, errs := try(t, "-n", "2", "--", p)
		if code != cli.Failed || !strings.Contains(errs, "the program has failed") {
			t.Errorf("%s: exit %d\n%s", p, code, errs)
		}
	}
}

// All nodes read the input, and each line says whose it is.
func TestInputAndLabels(t *testing.T) {
	code, out, errs := try(t, slices.Concat([]string{"-n", "2", "--label"}, program("echo"))...)
	lines := strings.Split(out, "\n")
	slices.Sort(lines)
	if want := []string{"", "[0] hello", "[0] world!", "[1] hello", "[1] world!"}; code != cli.OK || !slices.Equal(lines, want) {
		t.Errorf("exit %d, %q, not %q\n%s", code, lines, want, errs)
	}
}

// fakeSSH runs what it is given on this machine, whichever host it is for, and
// notes the host; it begins with first, and runs by shell. A node that is killed there
// takes the host with it.
func fakeSSH(t *testing.T, first, shell string) (command, log string) {
	t.Helper()
	dir := t.TempDir()
	command, log = filepath.Join(dir, "ssh"), filepath.Join(dir, "log")
	script := fmt.Sprintf("#!/bin/sh\nhost=$1\nshift\necho $host >>%s\n%s\n%s -c \"$*\"\ncode=$?\n[ $code -le 128 ] || code=255\nexit $code\n", log, first, shell)
	if err := os.WriteFile(command, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return command, log
}

// hostsOf reads what fakeSSH has noted.
func hostsOf(t *testing.T, log string) []string {
	t.Helper()
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(b))
}

// Nodes are on hosts, in turn; one whose host is lost goes to the next.
func TestHosts(t *testing.T) {
	_, want, _ := try(t, slices.Concat([]string{"-n", "3"}, program("count"))...)
	ssh, log := fakeSSH(t, "", "sh")
	code, out, errs := try(t, slices.Concat([]string{
		"-n", "3", "--ssh", ssh, "--host", "127.0.0.2", "--host", "me@127.0.0.3", "--host", "127.0.0.4", "--host", "127.0.0.5",
		"--tcp", "--dir", filepath.Join(t.TempDir(), "it's here"), "--kill", "2@33",
	}, program("count"))...)
	if code != cli.OK || out != want {
		t.Errorf("exit %d, %q, not %q\n%s", code, out, want, errs)
	}
	if hosts := hostsOf(t, log); len(hosts) != 4 || hosts[3] != "127.0.0.5" {
		t.Errorf("nodes were on %v", hosts)
	}
}

// A node that is started again where its checkpoints are not is refused: it would begin
// anew where the others go on.
func TestElsewhere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	t.Cleanup(func() { // a daemon elsewhere ends, and writes no more, a moment after who started it
		for end := time.Now().Add(time.Minute); os.RemoveAll(dir) != nil && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		}
	})
	ssh, _ := fakeSSH(t, "[ $host != 127.0.0.5 ] || rm -r "+dir+"/node-2", "sh")
	code, _, errs := try(t, slices.Concat([]string{
		"-n", "3", "--ssh", ssh, "--host", "127.0.0.2", "--host", "127.0.0.3", "--host", "127.0.0.4", "--host", "127.0.0.5", "--tcp", "--dir", dir, "--kill", "2@33",
	}, program("count"))...)
	if code != cli.Failed || !strings.Contains(errs, "it has lived before, and its checkpoints are not here") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

// Two nodes that are killed at once, with their programs, end the run with that word.
func TestTwoAtOnce(t *testing.T) {
	code, _, errs := try(t, slices.Concat([]string{"-n", "3", "--every", "1ms", "--kill", "0@41", "--kill", "1@41"}, program("count"))...)
	if code != cli.Failed || !strings.Contains(errs, "two nodes have failed at once") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

// Who may have others elsewhere listens everywhere; who has all here does not.
func TestListens(t *testing.T) {
	for _, c := range []struct {
		args, env []string
		want      bool
	}{
		{[]string{"-n", "2"}, nil, false},
		{[]string{"-n", "2", "--host", "a", "--dir", "d"}, nil, true},
		{[]string{"-n", "2", "--host", "a", "--dir", "d", "--listen", "10.0.0.1:0"}, nil, false},
		{[]string{"--dir", "d"}, []string{"SLURM_PROCID=1", "SLURM_NTASKS=2"}, true},
		{[]string{"--dir", "d", "--listen", "10.0.0.1:0"}, []string{"SLURM_PROCID=1", "SLURM_NTASKS=2"}, false},
	} {
		for _, v := range c.env {
			name, value, _ := strings.Cut(v, "=")
			t.Setenv(name, value)
		}
		app := &ucli.App{Flags: append(settings.Flags(), &ucli.StringSliceFlag{Name: "host"}, &ucli.StringFlag{Name: "ssh", Value: "ssh"}), Action: func(ctx *ucli.Context) error {
			r := &running{}
			if _, _, err := r.place(ctx); err != nil {
				return err
			}
			cmd, err := r.hosts.command(r.here[0], "dsmd", nil, []string{"p"})
			if err == nil && strings.Contains(strings.Join(cmd.Args, " "), "--listen=:0") != c.want {
				t.Errorf("%v, %v: %q", c.args, c.env, cmd.Args)
			}
			return err
		}}
		if err := app.Run(append([]string{"dsmrun"}, c.args...)); err != nil {
			t.Error(err)
		}
	}
}

// Where a launcher has placed processes each keeps one node.
func TestLaunchers(t *testing.T) {
	_, want, _ := try(t, slices.Concat([]string{"-n", "2"}, program("count"))...)
	for name, env := range map[string][]string{
		"srun":   {"SLURM_PROCID=%d", "SLURM_NTASKS=2", "SLURM_JOB_ID=7", "SLURM_STEP_ID=1"},
		"mpirun": {"OMPI_COMM_WORLD_RANK=%d", "OMPI_COMM_WORLD_SIZE=2"},
	} {
		dir := t.TempDir()
		var out, errs [2]bytes.Buffer
		var wait [2]func() error
		for i := range 2 {
			cmd := exec.Command(os.Args[0], slices.Concat([]string{"--dsmd", dsmd(t), "--region", "1M", "--dir", dir, "--kill", "1@20", fmt.Sprint("--tcp=", name == "mpirun")}, program("count"))...)
			cmd.Env = append(os.Environ(), "DSM_TEST_RUN=1")
			for _, v := range env {
				cmd.Env = append(cmd.Env, strings.ReplaceAll(v, "%d", fmt.Sprint(i)))
			}
			cmd.Stdout, cmd.Stderr = &out[i], &errs[i]
			var err error
			if wait[i], err = leash.Start(cmd, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		for i, w := range wait {
			if err := w(); err != nil {
				t.Errorf("%s: process %d: %v\n%s", name, i, err, &errs[i])
			}
		}
		if out[0].String() != want {
			t.Errorf("%s: %q, not %q\n%s", name, &out[0], want, &errs[0])
		}
		if _, err := os.Stat(filepath.Join(dir, "7.1")); (err == nil) != (name == "srun") {
			t.Errorf("%s: a folder of the job: %v", name, err)
		}
	}
}

// So it is under a launcher that is one.
func TestMpirun(t *testing.T) {
	mpirun, err := exec.LookPath("mpirun")
	if err != nil {
		t.Skip("Open MPI is not installed")
	}
	_, want, _ := try(t, slices.Concat([]string{"-n", "2"}, program("count"))...)
	args := []string{"--allow-run-as-root", "--oversubscribe", "-n", "2", "-x", "DSM_TEST_RUN=1", os.Args[0], "--dsmd", dsmd(t), "--region", "1M", "--dir", t.TempDir(), "--kill", "1@20"}
	cmd := exec.CommandContext(t.Context(), mpirun, append(args, program("count")...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || string(out) != want || !strings.Contains(errs.String(), "msg=recovers") {
		t.Errorf("%v: %q, not %q\n%s", err, out, want, &errs)
	}
}

// A folder with another run's checkpoints is no place for a new one.
func TestUsedFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if code, _, errs := try(t, slices.Concat([]string{"-n", "2", "--dir", dir}, program("echo"))...); code != cli.OK {
		t.Fatalf("exit %d\n%s", code, errs)
	}
	code, _, errs := try(t, slices.Concat([]string{"-n", "2", "--dir", dir}, program("echo"))...)
	if code != cli.Usage || !strings.Contains(errs, "another run") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

func TestMisuse(t *testing.T) {
	for _, args := range [][]string{
		{"-n", "2"}, {"--", "/bin/true"}, {"-n", "2", "--kill", "2@1", "--", "/bin/true"}, {"-n", "2", "--kill", "1", "--", "/bin/true"},
		{"-n", "2", "--kill", "1@5/0", "--", "/bin/true"}, {"-n", "2", "--kill", "1@5/", "--", "/bin/true"}, {"-n", "2", "--kill", "1@5/2", "--kill", "1@6/2", "--", "/bin/true"},
		{"-n", "2", "--kill", "1@0", "--", "/bin/true"}, {"-n", "2", "--host", "a", "--", "/bin/true"}, {"-n", "2", "--kill", "1@5", "--kill", "1@6", "--", "/bin/true"},
	} {
		if code, _, errs := try(t, args...); code != cli.Usage {
			t.Errorf("%v: exit %d\n%s", args, code, errs)
		}
	}
}

// newest is the highest number behind a name in a folder.
func newest(dir, pattern string) (most int) {
	all, _ := filepath.Glob(filepath.Join(dir, pattern))
	for _, name := range all {
		i, _ := strconv.Atoi(name[strings.LastIndex(name, "-")+1:])
		most = max(most, i)
	}
	return most
}

// stumble dies four times, each time when it has one more checkpoint in the folder that
// is its argument.
func stumble(n *client.Node) error {
	dir := os.Args[2]
	falls := 0
	n.Run(func(int) bool {
		n.Barrier()
		fell, _ := filepath.Glob(filepath.Join(dir, "fell-*"))
		falls = len(fell)
		if number := newest(dir, "node-0/ckpt-*"); falls < 4 && number > newest(dir, "fell-*") {
			_ = os.WriteFile(filepath.Join(dir, fmt.Sprintf("fell-%d", number)), nil, 0o600)
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		time.Sleep(time.Millisecond)
		return falls < 4
	})
	fmt.Println("fell", falls, "times")
	return nil
}

// A node that makes checkpoints may be lost as often as it likes.
func TestLostOften(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	code, out, errs := try(t, slices.Concat([]string{"-n", "1", "--restarts", "1", "--every", "1ms", "--dir", dir}, program("stumble"), []string{dir})...)
	if code != cli.OK || out != "fell 4 times\n" {
		t.Errorf("exit %d, %q\n%s", code, out, errs)
	}
}

// A node that cannot live is given up.
func TestRestarts(t *testing.T) {
	code, _, errs := try(t, slices.Concat([]string{"-n", "1", "--restarts", "2"}, program("crash"))...)
	if code != cli.Failed || !strings.Contains(errs, "was started 3 times") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}
