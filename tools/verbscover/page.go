// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// headers are those measured: of a library what a program includes first.
var headers = []struct{ of, file string }{
	{"libibverbs", "infiniband/verbs.h"},
	{"librdmacm", "rdma/rdma_cma.h"},
}

// unlike are functions whose prototype in the header is not that of the manual.
var unlike = map[string]string{
	"ibv_query_port": "a macro; the function behind it takes a compatibility struct",
}

// absent says why the Go API does without, first match first.
var absent = []struct {
	names *regexp.Regexp
	why   string
}{
	{regexp.MustCompile(`^ibv_(wr_|start_poll|next_poll|end_poll|wc_read|cq_ex|qp_to_qp_ex|create_cq_ex|modify_cq|create_srq_ex|query_device_ex|query_rt_values_ex)`), "extended API: rdma-core 44's rxe provider has bugs in it; the classic calls do the same here"},
	{regexp.MustCompile(`_str$|^ibv_rate_to`), "names of values: String methods in Go"},
	{regexp.MustCompile(`^ibv_(open_xrcd|close_xrcd|get_srq_num|create_qp_ex|open_qp)`), "XRC and other extended queue pairs"},
	{regexp.MustCompile(`^ibv_.*(_wq|rwq)`), "work queues for receive-side scaling of raw packets"},
	{regexp.MustCompile(`flow|counters|^ibv_.*action_esp`), "flow steering and its counters: raw packets"},
	{regexp.MustCompile(`multicast|mcast`), "multicast: unreliable datagrams only serve the connection manager here"},
	{regexp.MustCompile(`_dm(_mr)?$|_dm$|_td$|parent_domain|null_mr|dmabuf|advise|import|unimport|_ops`), "device memory, thread and parent domains, sharing of objects between processes"},
	{regexp.MustCompile(`ece`), "enhanced connection establishment"},
	{regexp.MustCompile(`^rdma_.*(_ep|ep$|addrinfo|getaddrinfo|notify|get_devices|free_devices|get_request|join|leave)`), "endpoints and helpers: verbs.Dial and verbs.Listen"},
	{regexp.MustCompile(`fork`), "fork: Go programs do not"},
	{regexp.MustCompile(`^rdma_(create|destroy)_qp`), "queue pairs of librdmacm: they are made with libibverbs before, so that receives can be posted first"},
	{regexp.MustCompile(`^rdma_get_(src|dst)_port`), "the port is in the address"},
	{regexp.MustCompile(`^ibv_bind_mw`), "windows of type 1; those of type 2 are bound by work requests"},
	{regexp.MustCompile(`^ibv_query_gid_ex`), "ibv_query_gid_table has all rows"},
	{regexp.MustCompile(`pkey`), "InfiniBand's partitions: the default one is used"},
}

// measure returns the page.
func measure(root, include string) ([]byte, error) {
	said, err := quotes(root)
	if err != nil {
		return nil, err
	}
	by := map[string][]quote{}
	for _, q := range said {
		by[q.name] = append(by[q.name], q)
	}
	var page bytes.Buffer
	fmt.Fprintf(&page, "# Which C functions the Go API has\nWritten by `tools/verbscover` from the C headers and from the prototypes that the documentation quotes.\n")
	known := map[string]string{}
	for _, h := range headers {
		text, err := os.ReadFile(filepath.Join(include, h.file))
		if err != nil {
			return nil, err
		}
		protos := prototypes(string(text))
		maps.Copy(known, protos)
		section(&page, h.of, h.file, protos, by)
	}
	return page.Bytes(), mistakes(said, known)
}

// mistakes are quotes that no header has.
func mistakes(said []quote, known map[string]string) error {
	var errs []error
	for _, q := range said {
		proto, ok := known[q.name]
		if !ok {
			errs = append(errs, fmt.Errorf("%s: no header has %s", q.at, q.name))
		} else if proto != q.proto && unlike[q.name] == "" {
			errs = append(errs, fmt.Errorf("%s: quotes %s, the header has %s", q.at, q.proto, proto))
		}
	}
	return errors.Join(errs...)
}

func section(page *bytes.Buffer, library, file string, protos map[string]string, by map[string][]quote) {
	names := slices.Sorted(maps.Keys(protos))
	have := 0
	missing := map[string][]string{}
	for _, n := range names {
		if len(by[n]) > 0 {
			have++
			continue
		}
		why := reason(n)
		missing[why] = append(missing[why], n)
	}
	fmt.Fprintf(page, "\n## %s\n%d of the %d functions of `%s`.\n\n| C function | Go |\n|---|---|\n", library, have, len(names), file)
	for _, n := range names {
		if len(by[n]) == 0 {
			continue
		}
		var where []string
		for _, q := range by[n] {
			where = append(where, "`"+q.by+"`")
		}
		slices.Sort(where)
		fmt.Fprintf(page, "| `%s` | %s |\n", n, strings.Join(slices.Compact(where), ", "))
	}
	fmt.Fprintf(page, "\nNot there:\n\n| why | C functions |\n|---|---|\n")
	for _, why := range slices.Sorted(maps.Keys(missing)) {
		fmt.Fprintf(page, "| %s | `%s` |\n", why, strings.Join(missing[why], "` `"))
	}
}

func reason(name string) string {
	for _, a := range absent {
		if a.names.MatchString(name) {
			return a.why
		}
	}
	return "nobody needed it yet"
}
