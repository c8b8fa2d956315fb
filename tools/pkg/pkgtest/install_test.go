// SPDX-License-Identifier: Apache-2.0

package pkgtest

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lazystate/tools/lab"
)

const top = "../../.."

// installed is what `make install` has put somewhere, with the modes of its
// files. Programs are stand-ins, for linking them takes minutes.
type installed struct {
	built string // what was made before
	root  string
	modes map[string]fs.FileMode // by path below root
}

// TestInstall runs it once, for all that can be said of it.
func TestInstall(t *testing.T) {
	in := install(t)
	t.Run("files", in.files)
	t.Run("the configuration stays", in.configurationStays)
	t.Run("sources for dkms", in.sourcesForDKMS)
	t.Run("what is named is there", in.names)
	t.Run("systemd takes the units", in.units)
	t.Run("a C server links", in.serverLinks)
	t.Run("logrotate takes the audit log", in.rotates)
}

// install runs it as an operator whose umask leaves nothing to others.
func install(t *testing.T) *installed {
	t.Helper()
	for _, tool := range []string{"make", "gcc", "install"} {
		if _, err := exec.LookPath(tool); err != nil {
			lab.Skip(t, "no "+tool)
		}
	}
	in := &installed{built: t.TempDir(), root: t.TempDir() + "/root"}
	mains, err := filepath.Glob(top + "/tools/*/main.go")
	if err != nil || len(mains) == 0 {
		t.Fatalf("no commands: %v", err)
	}
	if err := os.Mkdir(in.built+"/bin", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, m := range mains {
		if err := os.WriteFile(filepath.Join(in.built, "bin", filepath.Base(filepath.Dir(m))), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	in.make(t)
	return in
}

func (in *installed) make(t *testing.T) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `umask 077 && exec make -s -C "$0" -o binaries built="$1" DESTDIR="$2" install`, top, in.built, in.root)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("make install: %v\n%s", err, out)
	}
	in.modes = map[string]fs.FileMode{}
	err := filepath.WalkDir(in.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == in.root {
			return err
		}
		info, err := d.Info()
		name, _ := filepath.Rel(in.root, path)
		in.modes[name] = info.Mode()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// expected are the files, with their modes, folder by folder.
func expected(t *testing.T) map[string]fs.FileMode {
	t.Helper()
	want := map[string]fs.FileMode{"etc/lazystate/bdmon.yaml": 0o640, "etc/logrotate.d/lazystate": 0o644}
	add := func(folder string, mode fs.FileMode, names ...string) {
		for _, n := range names {
			want[folder+"/"+n] = mode
		}
	}
	// those of patterns below the project's folder, by the names they have there
	found := func(below string, patterns ...string) (names []string) {
		for _, p := range patterns {
			paths, err := filepath.Glob(filepath.Join(top, below, p))
			if err != nil || len(paths) == 0 {
				t.Fatalf("%s/%s: no files, %v", below, p, err)
			}
			for _, path := range paths {
				name, _ := filepath.Rel(filepath.Join(top, below), path)
				names = append(names, name)
			}
		}
		return names
	}
	commands := []string{"bdagent", "bdctl", "bdmon", "bdnic", "dsmd", "dsmlog", "dsmrun", "dsmtop", "mtcpd", "scd"}
	add("usr/bin", 0o755, commands...)
	for _, c := range commands {
		for _, page := range found("tools/pkg/man", c+".*") {
			add("usr/share/man/man"+page[len(page)-1:], 0o644, page)
		}
	}
	add("usr/lib/systemd/system", 0o644, found("tools/pkg", "*.service")...)
	add("usr/lib", 0o644, "udev/rules.d/60-backdoor.rules", "sysusers.d/backdoor.conf", "libcbox.a", "libdsm.a")
	add("usr/include/lazystate", 0o644, "cbox.h", "dsm.h", "parmacs.h", "parmacs.m4", "uapi/cbox.h", "uapi/dsm.h", "uapi/scd.h")
	add("usr/share/doc/lazystate", 0o644, found("docs", "*.md")...)
	add("usr/share/doc/lazystate/examples", 0o640, found("tools/pkg", "*.yaml")...)
	add("usr/src/lazystate-1.0", 0o644, found("kmod", "dkms.conf", "Kbuild", "*.[ch]", "uapi/*.h", "rdma/*")...)
	return want
}

func (in *installed) files(t *testing.T) {
	files := map[string]fs.FileMode{}
	for name, mode := range in.modes {
		switch {
		case mode.IsRegular():
			files[name] = mode.Perm()
		case !mode.IsDir() || mode.Perm() != 0o755:
			t.Errorf("%s is %v", name, mode)
		}
	}
	if d := cmp.Diff(expected(t), files); d != "" {
		t.Errorf("make install (-want +got):\n%s", d)
	}
}

// An upgrade leaves the operator's configuration as it is.
func (in *installed) configurationStays(t *testing.T) {
	const mine = "targets: []\n"
	path := in.root + "/etc/lazystate/bdmon.yaml"
	if err := os.WriteFile(path, []byte(mine), 0o640); err != nil {
		t.Fatal(err)
	}
	in.make(t)
	if got := read(t, path); got != mine {
		t.Errorf("it is now %q", got)
	}
}

// dkms finds all it needs in the installed folder: every object that a Kbuild
// names has its source there, every header that a source includes too, and the
// modules of dkms.conf are those that the Kbuilds make.
func (in *installed) sourcesForDKMS(t *testing.T) {
	src := in.root + "/usr/src/lazystate-1.0"
	modules := map[string]bool{}
	folder := ""
	for _, kbuild := range []string{"Kbuild", "rdma/Kbuild"} {
		text := strings.ReplaceAll(read(t, filepath.Join(src, kbuild)), "\\\n", " ")
		for _, obj := range regexp.MustCompile(`\b(\w+)\.o\b`).FindAllStringSubmatch(text, -1) {
			if strings.Contains(text, obj[1]+"-y") {
				modules[obj[1]] = true // made of others
			} else if _, err := os.Stat(filepath.Join(src, filepath.Dir(kbuild), obj[1]+".c")); err != nil {
				t.Errorf("%s names %s.o: %v", kbuild, obj[1], err)
			}
		}
		for _, dir := range regexp.MustCompile(`(?m)^obj-m \+= (.*/)$`).FindAllStringSubmatch(text, -1) {
			folder += dir[1]
		}
	}
	if folder != "rdma/" {
		t.Errorf("kbuild goes to %q", folder)
	}
	conf := read(t, filepath.Join(src, "dkms.conf"))
	for _, m := range regexp.MustCompile(`BUILT_MODULE_NAME\[\d\]="(\w+)"`).FindAllStringSubmatch(conf, -1) {
		if !modules[m[1]] {
			t.Errorf("dkms.conf waits for %s, the Kbuilds make %v", m[1], modules)
		}
		delete(modules, m[1])
	}
	if len(modules) > 0 {
		t.Errorf("dkms.conf does not install %v", modules)
	}
	for _, line := range []string{`PACKAGE_NAME="lazystate"`, `PACKAGE_VERSION="1.0"`} {
		if !strings.Contains(conf, line+"\n") {
			t.Errorf("dkms.conf lacks %s, the folder's name", line)
		}
	}
	includesExist(t, src)
}

func includesExist(t *testing.T, src string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		for _, inc := range regexp.MustCompile(`(?m)^#include "([^"]+)"`).FindAllStringSubmatch(read(t, path), -1) {
			n++
			places := []string{filepath.Join(filepath.Dir(path), inc[1]), filepath.Join(src, inc[1])}
			if !slices.ContainsFunc(places, func(p string) bool { _, err := os.Stat(p); return err == nil }) {
				t.Errorf("%s includes %q, which is not there", path, inc[1])
			}
		}
		return nil
	})
	if err != nil || n < 10 {
		t.Errorf("%d includes: %v", n, err)
	}
}

// What the units, the man pages and the docs name is there after the install.
func (in *installed) names(t *testing.T) {
	n := 0
	named := regexp.MustCompile(`/usr/(?:bin|lib|share|include|src)/[\w./@-]*\w`)
	page := regexp.MustCompile(`man:([\w.]+)\((\d)\)|(?m:^\.Xr ([\w.]+) (\d))`)
	for path, mode := range in.modes {
		if !mode.IsRegular() || !strings.HasPrefix(path, "usr/lib/systemd/") && !strings.HasPrefix(path, "usr/share/") {
			continue
		}
		text := read(t, filepath.Join(in.root, path))
		for _, file := range named.FindAllString(text, -1) {
			n++
			if _, ok := in.modes[file[1:]]; !ok {
				t.Errorf("%s names %s, which is not installed", path, file)
			}
		}
		for _, m := range page.FindAllStringSubmatch(text, -1) {
			n++
			name, section := m[1]+m[3], m[2]+m[4] // of a unit, or of a page's own references
			if file := fmt.Sprintf("usr/share/man/man%s/%s.%s", section, name, section); in.modes[file] == 0 {
				t.Errorf("%s names %s, which is not installed", path, m[0])
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d names found", n)
	}
	if dkms := "dkms add lazystate/1.0"; !strings.Contains(read(t, in.root+"/usr/share/doc/lazystate/operations.md"), dkms) {
		t.Errorf("operations.md lacks %q", dkms)
	}
}

// systemd takes the units as they are installed.
func (in *installed) units(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		lab.Skip(t, "no systemd-analyze (package systemd)")
	}
	const units = "/usr/lib/systemd/system"
	// What they wait for is the system's own; and kill is what ExecReload runs.
	for _, name := range []string{"sysinit", "basic", "local-fs", "network", "network-online", "shutdown", "multi-user"} {
		if err := os.WriteFile(in.root+units+"/"+name+".target", []byte("[Unit]\nDescription="+name+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(in.root+"/usr/bin/kill", []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("usr/bin", in.root+"/bin"); err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(in.root + units + "/*.service")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no units: %v", err)
	}
	for _, path := range paths {
		name := strings.Replace(filepath.Base(path), "@.", "@vm1.", 1)
		out, err := exec.Command(analyze, "verify", "--man=no", "--root="+in.root, name).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// A server in C builds with what is installed and nothing of the sources.
func (in *installed) serverLinks(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/server.c", []byte("#include <lazystate/cbox.h>\nint main(void) { return !cbox_open; }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("gcc", "-o", dir+"/server", dir+"/server.c", "-I"+in.root+"/usr/include", "-L"+in.root+"/usr/lib", "-lcbox", "-lpthread")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The audit log gets another name and bdmon is told, once it is large.
func (in *installed) rotates(t *testing.T) {
	logrotate, err := exec.LookPath("logrotate")
	if err != nil {
		lab.Skip(t, "no logrotate (package logrotate)")
	}
	dir := t.TempDir()
	write := func(name, text string, mode fs.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("conf", strings.ReplaceAll(read(t, in.root+"/etc/logrotate.d/lazystate"), "/var/lib/lazystate", dir), 0o644)
	write("systemctl", "#!/bin/sh\necho \"$*\" >>"+dir+"/told\n", 0o755)
	run := func() {
		t.Helper()
		cmd := exec.Command(logrotate, "--state", dir+"/state", dir+"/conf")
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	write("audit.jsonl", "{}\n", 0o640)
	run()
	if got := read(t, dir+"/audit.jsonl"); got != "{}\n" {
		t.Errorf("a small log of today was rotated: %q is left", got)
	}
	if err := os.Truncate(dir+"/audit.jsonl", 65<<20); err != nil {
		t.Fatal(err)
	}
	run()
	if _, err := os.Stat(dir + "/audit.jsonl.1"); err != nil {
		t.Error(err)
	}
	if got := read(t, dir+"/told"); !strings.Contains(got, "reload bdmon.service") {
		t.Errorf("systemctl was asked for %q", got)
	}
}
