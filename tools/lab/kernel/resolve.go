// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// aptLists changes whenever apt learns of other versions.
var aptLists = "/var/lib/apt/lists"

// resolution is the note of an answer of apt, which takes a second to give it.
type resolution struct {
	Lists            int64 // when apt's lists changed
	Release, Version string
}

// resolveCached answers from the note in cache while apt's lists are unchanged.
func resolveCached(ctx context.Context, cache, series string) (*Kernel, error) {
	note := filepath.Join(cache, series+".resolved")
	st, err := os.Stat(aptLists)
	if err != nil {
		return nil, err
	}
	var r resolution
	b, err := os.ReadFile(note)
	if err == nil && json.Unmarshal(b, &r) == nil && r.Lists == st.ModTime().UnixNano() {
		return &Kernel{Series: series, Release: r.Release, Version: r.Version}, nil
	}
	k, err := resolve(ctx, series)
	if err != nil {
		return nil, err
	}
	b, err = json.Marshal(resolution{st.ModTime().UnixNano(), k.Release, k.Version})
	if err != nil {
		return nil, err
	}
	return k, os.WriteFile(note, b, 0o644)
}

// resolve asks apt which image the meta-package stands for.
func resolve(ctx context.Context, series string) (*Kernel, error) {
	meta := metaPackages[series]
	deps, err := show(ctx, meta.image)
	if err != nil {
		return nil, fmt.Errorf("kernel %s (has apt-get update been run?): %w", series, err)
	}
	m := imageDep.FindStringSubmatch(deps["Depends"])
	if m == nil {
		return nil, fmt.Errorf("kernel %s: %s depends on %q, which names no image", series, meta.image, deps["Depends"])
	}
	return &Kernel{Series: series, Release: m[1], Version: m[2]}, nil
}

var imageDep = regexp.MustCompile(`linux-image-(\d[^ ]*) \(= ([^)]*)\)`)

// show returns the fields of apt's candidate of a package.
func show(ctx context.Context, pkg string) (map[string]string, error) {
	out, err := command(ctx, "", "apt-cache", "show", "--no-all-versions", pkg)
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for sc := bufio.NewScanner(bytes.NewReader(out)); sc.Scan(); {
		if name, value, ok := strings.Cut(sc.Text(), ": "); ok {
			fields[name] = value
		}
	}
	return fields, nil
}

// buildPackages are the packages a module build needs besides the compiler.
func (k *Kernel) buildPackages(ctx context.Context) ([]string, error) {
	headers := "linux-headers-" + k.Release
	fields, err := show(ctx, headers+"="+k.Version)
	if err != nil {
		return nil, err
	}
	pkgs := []string{headers + "=" + k.Version}
	for _, dep := range strings.Split(fields["Depends"], ", ") {
		name, _, _ := strings.Cut(dep, " ")
		if strings.HasPrefix(name, "linux-headers-") || strings.HasPrefix(name, "linux-kbuild-") {
			pkgs = append(pkgs, name)
		}
	}
	return pkgs, nil
}

func command(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}
