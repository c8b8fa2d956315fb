// SPDX-License-Identifier: Apache-2.0

package pkgtest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// flagsOf are the flags that a command's sources define.
func flagsOf(t *testing.T, command string) (names []string) {
	t.Helper()
	sources, err := filepath.Glob("../../" + command + "/*.go")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no sources of %s: %v", command, err)
	}
	flag := regexp.MustCompile(`Flag\{Name: "([a-z-]+)"`)
	for _, path := range sources {
		for _, m := range flag.FindAllStringSubmatch(read(t, path), -1) {
			names = append(names, m[1])
		}
		if strings.Contains(read(t, path), "cli.LogFlag(") {
			names = append(names, "log-level")
		}
		if strings.Contains(read(t, path), "append(settings.Flags(),") { // of dsmd and dsmrun
			names = append(names, flagsOf(t, "dsmd/settings")...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Every flag of a command is in its man page, and none that it has not.
func TestManPagesHaveEveryFlag(t *testing.T) {
	pages, err := os.ReadDir("../man")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		command, section, _ := strings.Cut(page.Name(), ".")
		if strings.Contains(section, ".") { // of a file
			continue
		}
		var told []string
		for _, m := range regexp.MustCompile(`Fl -([a-z][a-z-]*)`).FindAllStringSubmatch(read(t, "../man/"+page.Name()), -1) {
			told = append(told, m[1])
		}
		flags := flagsOf(t, command)
		for _, f := range flags {
			if !slices.Contains(told, f) {
				t.Errorf("%s does not tell of --%s", page.Name(), f)
			}
		}
		for _, f := range told {
			if !slices.Contains(flags, f) && f != "help" {
				t.Errorf("%s tells of --%s, which %s does not have", page.Name(), f, command)
			}
		}
	}
}
