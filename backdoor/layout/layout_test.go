// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/tools/lab"
)

// synthetic has what offsets get wrong: anonymous members, nesting, bit
// fields, typedefs, and two types of one name.
func synthetic(t *testing.T) *btf.Spec {
	t.Helper()
	u32 := &btf.Int{Name: "unsigned int", Size: 4}
	u64 := &btf.Int{Name: "unsigned long", Size: 8}
	kuid := &btf.Typedef{Name: "kuid_t", Type: &btf.Struct{Size: 4, Members: []btf.Member{{Name: "val", Type: u32}}}}
	anon := &btf.Union{Size: 8, Members: []btf.Member{{Name: "one", Type: u64}, {Name: "other", Type: u32}}}
	cred := &btf.Struct{Name: "cred", Size: 32, Members: []btf.Member{
		{Name: "usage", Type: u32},
		{Name: "uid", Type: kuid, Offset: 8 * 8},
		{Type: anon, Offset: 16 * 8},
		{Name: "low", Type: u32, Offset: 24 * 8, BitfieldSize: 3},
		{Name: "high", Type: u32, Offset: 24*8 + 20, BitfieldSize: 4},
	}}
	other := &btf.Struct{Name: "cred", Size: 4, Members: []btf.Member{{Name: "usage", Type: u32}}}
	task := &btf.Struct{Name: "task_struct", Size: 40, Members: []btf.Member{
		{Name: "cred", Type: &btf.Pointer{Target: cred}},
		{Name: "inline", Type: cred, Offset: 8 * 8},
		{Name: "second", Type: &btf.Pointer{Target: other}, Offset: 0},
	}}
	b, err := btf.NewBuilder([]btf.Type{task, other}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := b.Marshal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := btf.LoadSpecFromReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestLookup(t *testing.T) {
	spec := synthetic(t)
	for name, want := range map[string][]backdoor.Member{
		"task_struct":             {{Off: 40}},
		"task_struct.cred":        {{Off: 0, Size: 8}},
		"task_struct.inline":      {{Off: 8, Size: 32}},
		"task_struct.inline.uid":  {{Off: 16, Size: 4}},
		"task_struct.inline.high": {{Off: 32, Size: 4}},
		"cred.uid":                {{Off: 8, Size: 4}},
		"cred.uid.val":            {{Off: 8, Size: 4}},
		"cred.one":                {{Off: 16, Size: 8}},
		"cred.other":              {{Off: 16, Size: 4}},
		"cred.usage":              {{Off: 0, Size: 4}, {Off: 0, Size: 4}},
		"cred.none":               nil,
		"nothing":                 nil,
		"task_struct.cred.uid":    nil, // through a pointer there is no offset
		"cred.":                   nil,
	} {
		if d := cmp.Diff(want, Lookup(spec, name)); d != "" {
			t.Errorf("%s: want (-), got (+)\n%s", name, d)
		}
	}
}

func TestCompare(t *testing.T) {
	bt, err := backdoor.Open(t.Context(), bdtest.New().Memory())
	if err != nil {
		t.Fatal(err)
	}
	var uid, size, unknown bool
	for _, m := range Compare(synthetic(t), bt.Manifest()) {
		switch m.Name {
		case "cred.uid": // at 8 in both
			uid = true
		case "task_struct":
			size = m.Known && strings.Contains(m.String(), "offset 1024 size 0 in the manifest, 40 and 0 in BTF")
		case "mm_struct.rss_stat":
			unknown = !m.Known && m.String() == "mm_struct.rss_stat: not in BTF"
		}
	}
	if uid || !size || !unknown {
		t.Errorf("cred.uid differs: %v; sizeof task_struct differs: %v; mm_struct is unknown: %v", uid, size, unknown)
	}
}

// The running kernel's BTF has every member that a walk needs.
func TestRunningKernelHasTheMembers(t *testing.T) {
	spec, err := btf.LoadSpec("/sys/kernel/btf/vmlinux")
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, btf.ErrNotSupported) {
		lab.Skip(t, "this kernel has no BTF")
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(Lookup(spec, "task_struct.__state")) == 0 {
		lab.Skip(t, "this kernel is older than 5.14, and than any target's")
	}
	bt, err := backdoor.Open(t.Context(), bdtest.New().Memory())
	if err != nil {
		t.Fatal(err)
	}
	_, _, names := bt.Manifest().Names()
	for _, name := range names {
		if len(Lookup(spec, name)) == 0 {
			t.Errorf("%s is not in this kernel's BTF", name)
		}
	}
}
