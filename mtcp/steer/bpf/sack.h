/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The SACK option holds sequence numbers too. */
#ifndef STEER_SACK_H
#define STEER_SACK_H

#include "rewrite.h"

#define OPT_END 0
#define OPT_NOP 1
#define OPT_SACK 5

/* Options are changed in memory of their own: the verifier allows a variable
 * index there and not on the stack. */
struct scratch {
	__u8 old[64];
	__u8 new[64];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch SEC(".maps");

/* inside keeps an index within 64 in a way that the compiler does not improve
 * upon; the verifier would not follow. */
static __always_inline __u32 inside(__u32 i)
{
	barrier_var(i);
	i &= 63;
	barrier_var(i);
	return i;
}

/* search is where the search is among the options. */
struct search {
	const struct scratch *m;
	__u32 options;
	__u32 at;
	__u32 len; /* of the SACK option, once it is found */
};

/* step looks at one option and returns 1 when there is no more to look for. */
static long step(__u32 i, struct search *f)
{
	__u8 kind, n;

	if (f->at + 1 >= f->options)
		return 1;
	kind = f->m->old[inside(f->at)];
	if (kind == OPT_END)
		return 1;
	if (kind == OPT_NOP) {
		f->at++;
		return 0;
	}
	n = f->m->old[inside(f->at + 1)];
	if (n < 2 || f->at + n > f->options)
		return 1;
	if (kind == OPT_SACK) {
		f->len = n;
		return 1;
	}
	f->at += n;
	return 0;
}

static __always_inline int store_options(struct __sk_buff *skb, const struct segment *s, struct scratch *m)
{
	__s64 diff = bpf_csum_diff((void *)m->old, MAX_OPTIONS, (void *)m->new, MAX_OPTIONS, 0);
	int err = bpf_l4_csum_replace(skb, CHECK(s), 0, diff, 0);

#pragma unroll
	for (int i = 0; i < MAX_OPTIONS / 4; i++)
		if (i * 4 < s->options)
			err |= bpf_skb_store_bytes(skb, s->l4 + sizeof(s->tcp) + i * 4, &m->new[i * 4], 4, 0);
	return err;
}

/* change_sack adds delta to each number of the SACK option, or makes no
 * operations of it (blank). It returns 1 if there was one, or an error. */
static __noinline int change_sack(struct __sk_buff *skb, const struct segment *s, __u32 delta, bool blank)
{
	struct search f = {.options = s->options};
	__u32 zero = 0, at, len;
	struct scratch *m;

	if (s->options < 12) /* no room for a block */
		return 0;
	m = bpf_map_lookup_elem(&scratch, &zero);
	if (!m)
		return -1;
	load_options(skb, s, m->old);
	f.m = m;
	bpf_loop(MAX_OPTIONS, step, &f, 0);
	if (!f.len)
		return 0;
	at = f.at;
	len = f.len;
	__builtin_memcpy(m->new, m->old, MAX_OPTIONS);
	if (blank) {
		for (__u32 i = 0; i < MAX_OPTIONS; i++)
			if (i < len)
				m->new[inside(at + i)] = OPT_NOP;
		return store_options(skb, s, m) ? -1 : 1;
	}
	for (__u32 i = 2; i + 4 <= MAX_OPTIONS; i += 4) {
		__u32 o = at + i, v;

		if (i + 4 > len)
			break;
		v = (__u32)m->old[inside(o)] << 24 | (__u32)m->old[inside(o + 1)] << 16 | (__u32)m->old[inside(o + 2)] << 8 |
		    m->old[inside(o + 3)];
		v += delta;
		m->new[inside(o)] = v >> 24;
		m->new[inside(o + 1)] = v >> 16;
		m->new[inside(o + 2)] = v >> 8;
		m->new[inside(o + 3)] = v;
	}
	return store_options(skb, s, m) ? -1 : 1;
}

#endif
