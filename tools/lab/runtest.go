// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lazystate/tools/lab/image"
)

const guestEnv = "LAZYSTATE_GUEST"

// InGuest reports whether this test runs inside a guest, shipped by RunTest.
func InGuest() bool { return os.Getenv(guestEnv) != "" }

// TestBuild is how the tests of a package are built for the guest.
type TestBuild struct {
	Flags []string // of go test, such as -race
	Env   []string // such as GOEXPERIMENT=cgocheck2
}

// RunTest builds a package's tests, ships them with their libraries and
// testdata into the guest and runs them there as root. Each test of the guest
// is reported as a subtest of t; the coverage profile goes to build/cover.
// args are flags of the test binary, such as -test.run=Verbs.
func RunTest(t *testing.T, vm *VM, pkg string, args ...string) {
	t.Helper()
	RunTestAs(t, vm, TestBuild{}, pkg, args...)
}

// RunTestAs is RunTest with a build of its own.
func RunTestAs(t *testing.T, vm *VM, b TestBuild, pkg string, args ...string) {
	t.Helper()
	b.Flags = append([]string{"-cover"}, b.Flags...)
	p := PutTest(t, vm, b, pkg, append([]string{"-test.v", "-test.coverprofile=" + testDir + "/cover.out"}, args...)...)
	var out bytes.Buffer
	var w io.Writer = &out
	if testing.Verbose() {
		w = io.MultiWriter(&out, os.Stderr) // as it comes: a test that hangs is seen to
	}
	exit, err := vm.Stream(t.Context(), p, nil, w, w)
	if err != nil {
		t.Fatalf("run the tests of %s: %v\n%s", pkg, err, out.String())
	}
	reportGuest(t, pkg, exit, out.String())
	if err := keepCoverage(t, vm, testDir, pkg); err != nil {
		t.Errorf("coverage of %s: %v", pkg, err)
	}
}

// testDir is where tests lie and run in a guest.
const testDir = "/lab-test"

// PutTest builds a package's tests, puts them with their libraries and testdata
// into the guest and returns how to run them there, for a test that talks to
// the process.
func PutTest(t *testing.T, vm *VM, b TestBuild, pkg string, args ...string) Proc {
	t.Helper()
	bin, err := testProgram(t.Context(), b, pkg)
	if err != nil {
		t.Fatal(err)
	}
	if err := shipTest(t, vm, bin, testDir, pkg); err != nil {
		t.Fatalf("ship the tests of %s: %v", pkg, err)
	}
	return Proc{
		Argv: append([]string{testDir + "/guest.test"}, args...),
		Dir:  testDir, Env: []string{guestEnv + "=1", labEnv + "=" + os.Getenv(labEnv), soakEnv + "=" + os.Getenv(soakEnv)},
	}
}

// testProgram builds a package's tests into the cache, once in a process for each
// way of building, and returns their path.
func testProgram(ctx context.Context, b TestBuild, pkg string) (string, error) {
	h := fnv.New32a()
	fmt.Fprintf(h, "%q %q", b.Flags, b.Env)
	name := fmt.Sprintf("%s-%08x.test", strings.ReplaceAll(path.Clean(pkg), "/", "_"), h.Sum32())
	out := filepath.Join(CacheDir(), "tests", name)
	return once(out, func() error {
		return replace(out, func(part string) *exec.Cmd {
			cmd := exec.CommandContext(ctx, goCommand(), slices.Concat([]string{"test", "-c", "-o", part}, b.Flags, []string{pkg})...)
			cmd.Env = append(os.Environ(), b.Env...)
			return cmd
		})
	})
}

func shipTest(t *testing.T, vm *VM, bin, dir, pkg string) error {
	files, err := image.Needs(dir+"/guest.test", bin)
	if err != nil {
		return err
	}
	data := filepath.Join(sourceRoot(), pkg, "testdata")
	err = filepath.WalkDir(data, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files[path.Join(dir, strings.TrimPrefix(p, filepath.Join(sourceRoot(), pkg)))] = p
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	for guest, host := range files {
		if err := vm.Put(t.Context(), host, guest); err != nil {
			return fmt.Errorf("%s: %w", host, err)
		}
	}
	return nil
}

var (
	testStart  = regexp.MustCompile(`^=== RUN   ([^/ ]+)$`)
	testResult = regexp.MustCompile(`^--- (PASS|FAIL|SKIP): (\S+) `)
)

// guestTest is what one top-level test did in the guest.
type guestTest struct{ name, result, text string }

// parseGuest splits the output of a verbose test run.
func parseGuest(out string) []guestTest {
	var all []guestTest
	var text strings.Builder
	open := false
	for sc := bufio.NewScanner(strings.NewReader(out)); sc.Scan(); {
		line := sc.Text()
		if testStart.MatchString(line) && !open {
			open = true
			text.Reset()
		}
		text.WriteString(line + "\n")
		if m := testResult.FindStringSubmatch(line); m != nil {
			all = append(all, guestTest{name: m[2], result: m[1], text: text.String()})
			open = false
		}
	}
	return all
}

// reportGuest turns the guest's tests into subtests.
func reportGuest(t *testing.T, pkg string, exit int, out string) {
	t.Helper()
	all := parseGuest(out)
	failed := false
	for _, g := range all {
		failed = failed || g.result == "FAIL"
		t.Run(g.name, func(t *testing.T) { replay(t, g.result, g.text) })
	}
	if len(all) == 0 || exit != 0 && !failed {
		t.Errorf("tests of %s in the guest: %d ran, exit %d:\n%s", pkg, len(all), exit, out)
	}
}

func replay(t *testing.T, result, text string) {
	t.Helper()
	switch result {
	case "FAIL":
		t.Errorf("in the guest:\n%s", text)
	case "SKIP":
		Skip(t, "in the guest:\n"+text)
	}
}

func keepCoverage(t *testing.T, vm *VM, dir, pkg string) error {
	out := filepath.Join(sourceRoot(), "build", "cover")
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	name := strings.Trim(strings.ReplaceAll(pkg, "/", "_"), "._") + "-" + vm.Config().Kernel + ".cover"
	return vm.Get(t.Context(), dir+"/cover.out", filepath.Join(out, name))
}
