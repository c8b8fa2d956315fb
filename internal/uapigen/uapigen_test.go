// SPDX-License-Identifier: Apache-2.0

package uapigen

import (
	"strings"
	"testing"
)

func TestLayoutOfParsed(t *testing.T) {
	h, err := Parse(`
#define BD_N 3 /* three */
#define BD_TWICE (BD_N * 2u)
#define BD_CALL(w) ((__u32)(w))
enum bd_colour { BD_C_RED = 1, BD_C_DARK_BLUE = BD_N, };
struct bd_a { __u32 x, y[2]; __u16 reserved[2]; };
struct bd_b { struct bd_a one; struct bd_a many[BD_N][2]; __s64 v; char text[8]; };
#define BD_IOC_SET _IOW(0xBD, 2, struct bd_a)
`)
	if err != nil {
		t.Fatal(err)
	}
	want := `const BD_N 3
const BD_TWICE 6
const BD_IOC_SET 1074838786
const BD_C_RED 1
const BD_C_DARK_BLUE 3
size bd_a 16
field bd_a.x 0 4
field bd_a.y 4 8
field bd_a.reserved 12 4
size bd_b 128
field bd_b.one 0 16
field bd_b.many 16 96
field bd_b.v 112 8
field bd_b.text 120 8
`
	if got := string(h.Layout()); got != want {
		t.Errorf("got\n%s", got)
	}
	files, err := h.GoSource("p", "x", "x.h")
	if err != nil {
		t.Fatal(err)
	}
	for name, parts := range map[string][]string{
		"zx.go":        {"IoctlSet = 0x4010bd02"},
		"zx_colour.go": {"CDarkBlue = 3", `return "dark blue"`},
		"zx_a.go":      {"type A struct", "binary."},
		"zx_b.go":      {"type B struct", "Many [3][2]A"},
	} {
		for _, part := range parts {
			if !strings.Contains(string(files[name]), part) {
				t.Errorf("no %q in %s", part, name)
			}
		}
	}
	if len(files) != 4 {
		t.Errorf("%d files", len(files))
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"padding":      {"struct bd_a { __u32 x; __u64 y; };", "needs padding"},
		"tail padding": {"struct bd_a { __u64 y; __u32 x; };", "multiple of its alignment"},
		"unknown type": {"struct bd_a { int x; };", "unknown type"},
		"bit field":    {"struct bd_a { __u32 x:3; };", "cannot read"},
		"no value":     {"enum bd_e { BD_X };", "no value of its own"},
		"undefined":    {"#define BD_X BD_Y", "not defined"},
		"operator":     {"#define BD_X (1 % 2)", "operator"},
		"early ioctl":  {"#define BD_IOC_X _IOW(0xBD, 2, struct bd_a)", "unknown type"},
	} {
		if _, err := Parse(c.src); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
