// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const header = `
#ifndef X
#define ibv_macro(a) \\
	ibv_not_this(a);
extern "C" {
/* int ibv_in_a_comment(void); */
struct ibv_device **ibv_get_device_list(int *num_devices);
struct ibv_ops { int (*ibv_pointer)(int); int ibv_member(int); };
static inline int ibv_post_send(struct ibv_qp *qp,
				struct ibv_send_wr *wr) // the call
{
	return ibv_inner(qp, wr);
}
const char *ibv_wc_status_str(enum ibv_wc_status status) __attribute_const;
typedef int (*ibv_callback)(int);
int unrelated(int x);
}
int rdma_listen(struct rdma_cm_id * id, int backlog);
`

func TestPrototypes(t *testing.T) {
	want := map[string]string{
		"ibv_get_device_list": "struct ibv_device **ibv_get_device_list(int *num_devices)",
		"ibv_post_send":       "int ibv_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr)",
		"ibv_wc_status_str":   "const char *ibv_wc_status_str(enum ibv_wc_status status)",
		"rdma_listen":         "int rdma_listen(struct rdma_cm_id *id, int backlog)",
	}
	if diff := cmp.Diff(want, prototypes(header)); diff != "" {
		t.Error(diff)
	}
}

// write makes a repository and headers with these texts.
func write(t *testing.T, goSource string) (root, include string) {
	t.Helper()
	root, include = t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		filepath.Join(root, "verbs/x.go"): goSource, filepath.Join(include, "infiniband/verbs.h"): header, filepath.Join(include, "rdma/rdma_cma.h"): header,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root, include
}

func source(proto string) string {
	return "package verbs\n\n// F does it.\n//\n// Implements:\n//\n//\t" + proto + "\nfunc F() {}\n"
}

func TestQuotesAreChecked(t *testing.T) {
	for _, c := range []struct{ proto, wrong string }{
		{"int rdma_listen(struct rdma_cm_id *id, int backlog)", ""},
		{"int rdma_listen(struct rdma_cm_id *id, int backlog);", ""},
		{"int rdma_listen(struct rdma_cm_id *id, long backlog)", "the header has"},
		{"int rdma_hear(struct rdma_cm_id *id)", "no header has rdma_hear"},
	} {
		page, err := measure(write(t, source(c.proto)))
		if c.wrong == "" && (err != nil || !bytes.Contains(page, []byte("1 of the 4 functions")) || !bytes.Contains(page, []byte("| `rdma_listen` | `verbs.F` |"))) {
			t.Errorf("%s: %v\n%s", c.proto, err, page)
		}
		if c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong) || !strings.Contains(err.Error(), "x.go:8")) {
			t.Errorf("%s: %v", c.proto, err)
		}
	}
}

func TestThePageIsUpToDate(t *testing.T) {
	if _, err := os.Stat("/usr/include/infiniband/verbs.h"); errors.Is(err, fs.ErrNotExist) {
		if os.Getenv("LAZYSTATE_LAB") == "required" {
			t.Fatal("libibverbs-dev is not installed")
		}
		t.Skip("libibverbs-dev is not installed")
	}
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"verbscover", "--root", "../..", "--check"}, nil, io.Discard, &stderr); code != 0 {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
}
