// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/bench/soaktest"
	"lazystate/dsm"
	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
	"lazystate/internal/leash"
	"lazystate/tools/lab"
)

// What the test's own binary is to be, started anew: a process that saves until it
// is killed, or one with a small disk of its own.
const (
	childEnv = "LAZYSTATE_STORE_CHILD"
	atEnv    = "LAZYSTATE_STORE_AT"
)

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "saver":
		err = saver(os.Args[1])
	case "small":
		err = smallDisk(os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// lethal is the real disk, on which the process is killed at an operation.
type lethal struct {
	osDisk
	left *int
}

func (d lethal) op() {
	if *d.left--; *d.left < 0 {
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	}
}

func (d lethal) mkdir(path string) error { d.op(); return d.osDisk.mkdir(path) }
func (d lethal) create(path string) (file, error) {
	d.op()
	f, err := d.osDisk.create(path)
	return lethalFile{f, d}, err
}
func (d lethal) link(from, to string) error   { d.op(); return d.osDisk.link(from, to) }
func (d lethal) rename(from, to string) error { d.op(); return d.osDisk.rename(from, to) }
func (d lethal) remove(path string) error     { d.op(); return d.osDisk.remove(path) }
func (d lethal) sync(path string) error       { d.op(); return d.osDisk.sync(path) }
func (d lethal) punch(path string, off, n int64) error {
	d.op()
	return d.osDisk.punch(path, off, n)
}

type lethalFile struct {
	file
	d lethal
}

// Write is killed in the midst.
func (f lethalFile) Write(b []byte) (int, error) {
	if n, err := f.file.Write(b[:len(b)/2]); err != nil {
		return n, err
	}
	f.d.op()
	n, err := f.file.Write(b[len(b)/2:])
	return len(b)/2 + n, err
}

func (f lethalFile) Sync() error { f.d.op(); return f.file.Sync() }

// numberedState is a checkpoint whose contents follow from its number.
func numberedState(number uint32) (*dsm.State, []byte) {
	rng := rand.New(rand.NewPCG(uint64(number), 5))
	st := &dsm.State{
		Stamp: dsm.Stamp{Number: number, T: vtime.New(testConfig.Nodes)}, V: vtime.New(testConfig.Nodes), Last: vtime.New(testConfig.Nodes),
		Notices: make([][]logs.Notice, testConfig.Nodes), Peers: make([]dsm.SavedPeer, testConfig.Nodes),
	}
	for i := range st.Peers {
		st.Peers[i].Ckp.T = vtime.New(testConfig.Nodes)
	}
	st.T[1] = uint64(number)
	for p := range testConfig.Pages {
		changed := uint64(number - number%uint32(p+1)) // page p is written every p+1 checkpoints
		if changed == 0 {
			continue
		}
		s := dsm.SavedPage{Page: dsm.Page(p), Homed: true, Home: testConfig.Self, V: vtime.Time{0, changed, 0}, Bytes: make([]byte, testConfig.PageSize)}
		for i := range s.Bytes {
			s.Bytes[i] = byte(uint64(p*7+i) * changed)
		}
		st.Pages = append(st.Pages, s)
	}
	return st, fmt.Appendf(nil, "private %d %d", number, rng.Uint64())
}

// saver saves four checkpoints more and prints the number of each when it is safe.
func saver(dir string) error {
	left, err := strconv.Atoi(os.Getenv(atEnv))
	if err != nil {
		return err
	}
	s := &Store{cfg: testConfig}
	if err := s.open(lethal{left: &left}, []string{dir}); err != nil {
		return err
	}
	_, past, err := s.Begin()
	if err != nil {
		return err
	}
	n := number(past)
	for range 4 {
		n++
		if err := s.Save(numberedState(n)); err != nil {
			return err
		}
		fmt.Println(n)
		if n > 2 {
			s.Discard(n - 2)
		}
	}
	return s.Close()
}

// run starts the test's binary as something else, and returns what it printed.
func run(t *testing.T, as, dir string, attr *syscall.SysProcAttr, env ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(os.Args[0], dir)
	cmd.Env = append(append(os.Environ(), childEnv+"="+as), env...)
	cmd.SysProcAttr = attr
	var errText strings.Builder
	cmd.Stderr = &errText
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	wait, err := leash.Start(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(out)
	if err = wait(); err != nil {
		err = fmt.Errorf("%w: %s", err, errText.String())
	}
	return string(text), err
}

// A process that is killed at any operation leaves what it said to be safe, on a
// real disk, life after life. (Here at every fifth; in memory at each.)
func TestKilledAtEveryStep(t *testing.T) {
	dir := t.TempDir()
	safe := uint32(0)
	killed := 0
	step := lab.Count(5, 1)
	book := soaktest.New(t, record, 0, 100/step)
	for at := 0; at < 100; at, book.Runs = at+step, book.Runs+1 {
		out, err := run(t, "saver", dir, nil, fmt.Sprintf("%s=%d", atEnv, at))
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() {
			killed++
		} else if err != nil {
			t.Fatalf("at %d: %v", at, err)
		}
		for sc := bufio.NewScanner(strings.NewReader(out)); sc.Scan(); {
			n, err := strconv.Atoi(sc.Text())
			if err != nil {
				t.Fatalf("%q: %v", out, err)
			}
			safe = uint32(n)
		}
		s := &Store{cfg: testConfig}
		if err := s.open(osDisk{}, []string{dir}); err != nil {
			t.Fatalf("at %d: %v", at, err)
		}
		_, past, err := s.Begin()
		if err != nil || len(past.Damaged) > 0 {
			t.Fatalf("at %d: %v, damaged %v", at, err, past.Damaged)
		}
		if n := number(past); n != safe && n != safe+1 {
			t.Fatalf("at %d: checkpoint %d, %d is safe", at, n, safe)
		}
		safe = number(past)
		if safe == 0 {
			continue
		}
		st, private := numberedState(safe)
		n := &node{t: t}
		if string(n.encoded(st)) != string(n.encoded(past.State)) || string(private) != string(past.Private) {
			t.Fatalf("at %d: checkpoint %d is not what was saved", at, safe)
		}
	}
	book.Add("killed", killed)
	if killed < 80/step {
		t.Errorf("%d were killed", killed)
	}
}

// ownMounts has a child whose mounts nobody else sees.
func ownMounts(t *testing.T) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		lab.Skip(t, "a disk of its own needs root")
	}
	return &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
}

// A full disk and one that cannot be written cost the checkpoint that was on its
// way; the caller is told why, and the one before is whole.
func TestFullDiskAndReadOnly(t *testing.T) {
	out, err := run(t, "small", t.TempDir(), ownMounts(t))
	if err != nil || out != "ok\n" {
		t.Errorf("%q: %v", out, err)
	}
}

// smallDisk is that, in a process with mounts of its own.
func smallDisk(dir string) error {
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		return err
	}
	s, err := Open(testConfig, filepath.Join(dir, "node"))
	if err != nil {
		return err
	}
	if _, _, err := s.Begin(); err != nil {
		return err
	}
	if err := s.Save(numberedState(1)); err != nil {
		return err
	}
	st, _ := numberedState(2)
	if err := s.Save(st, make([]byte, 2<<20)); !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "checkpoint 2") {
		return fmt.Errorf("2 MiB on a disk of 1: %w", err)
	}
	if err := fill(filepath.Join(dir, "filler")); err != nil {
		return err
	}
	if err := s.Save(numberedState(2)); !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("on a full disk: %w", err)
	}
	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		return err
	}
	if err := s.Save(numberedState(2)); err != nil {
		return fmt.Errorf("once there is room: %w", err)
	}
	if err := s.unlock(); err != nil { // an open file keeps a disk writable
		return err
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return err
	}
	if err := s.Save(numberedState(3)); !errors.Is(err, unix.EROFS) {
		return fmt.Errorf("on a read-only disk: %w", err)
	}
	if err := s.Close(); err != nil {
		return err
	}
	if _, err := Open(testConfig, filepath.Join(dir, "node")); !errors.Is(err, unix.EROFS) {
		return fmt.Errorf("opened read-only: %w", err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, ""); err != nil {
		return err
	}
	return fullButForDiscards(dir)
}

// fullButForDiscards is a disk that has room again by what is discarded.
func fullButForDiscards(dir string) error {
	s, err := Open(testConfig, filepath.Join(dir, "node"))
	if err != nil {
		return err
	}
	_, past, err := s.Begin()
	if err != nil || number(past) != 2 || len(past.Damaged) > 0 {
		return fmt.Errorf("the past is checkpoint %d, damaged %v: %w", number(past), past.Damaged, err)
	}
	st, _ := numberedState(3)
	if err := s.Save(st, make([]byte, 512<<10)); err != nil {
		return err
	}
	s.Discard(1)
	s.Discard(2)
	st, _ = numberedState(4)
	if err := s.Save(st, make([]byte, 64<<10)); err != nil {
		return err
	}
	if err := fill(filepath.Join(dir, "filler")); err != nil {
		return err
	}
	s.Discard(3)
	st, _ = numberedState(5)
	if err := s.Save(st, make([]byte, 256<<10)); err != nil {
		return fmt.Errorf("with a checkpoint to discard: %w", err)
	}
	fmt.Println("ok")
	return s.Close()
}

// fill leaves no room on a disk.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return nil
		}
	}
}
