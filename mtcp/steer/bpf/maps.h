/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#ifndef STEER_MAPS_H
#define STEER_MAPS_H

#include <stdbool.h>

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "steer.h"

/* Sizes are the loader's to change. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* So that Go has the types: */
const enum counter *const counter_in_btf __attribute__((unused));
const enum told *const told_in_btf __attribute__((unused));
const enum state *const state_in_btf __attribute__((unused));
const struct event *const event_in_btf __attribute__((unused));
const struct kept *const kept_in_btf __attribute__((unused));
const struct query *const query_in_btf __attribute__((unused));

static __always_inline void count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&counters, &which);

	if (n)
		(*n)++; /* its CPU's own */
}

#endif
