/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Changing segments, their checksums with them. The checksum of a segment may be
 * complete, half done (CHECKSUM_PARTIAL: the sum of the pseudo header), or
 * checked by the device (CHECKSUM_COMPLETE: a sum over all of it that must
 * follow each change); the helpers know which. */
#ifndef STEER_REWRITE_H
#define STEER_REWRITE_H

#include <linux/stddef.h>

#include "packet.h"

#define CHECK(s) ((s)->l4 + offsetof(struct tcphdr, check))

static __always_inline int set_v4(struct __sk_buff *skb, const struct segment *s, __u32 off, __be32 old, __be32 new)
{
	int err = bpf_l4_csum_replace(skb, CHECK(s), old, new, BPF_F_PSEUDO_HDR | 4);

	err |= bpf_l3_csum_replace(skb, l2_len + offsetof(struct iphdr, check), old, new, 4);
	return err | bpf_skb_store_bytes(skb, l2_len + off, &new, 4, 0);
}

/* For IPv6 the helper corrects the sum over the packet for a pseudo header as
 * if an IP checksum balanced it, as IPv4's does. There is none (BPF_F_IPV6, from
 * 6.16 on, says so): storing with BPF_F_RECOMPUTE_CSUM puts it right on every
 * kernel. */
static __always_inline int set_v6(struct __sk_buff *skb, const struct segment *s, __u32 off, struct addr old, struct addr new)
{
	__s64 diff = bpf_csum_diff(old.w, 16, new.w, 16, 0);
	int err = bpf_l4_csum_replace(skb, CHECK(s), 0, diff, BPF_F_PSEUDO_HDR);

	return err | bpf_skb_store_bytes(skb, l2_len + off, new.w, 16, BPF_F_RECOMPUTE_CSUM);
}

static __always_inline bool same_addr(const struct addr *a, const struct addr *b)
{
	return a->w[0] == b->w[0] && a->w[1] == b->w[1] && a->w[2] == b->w[2] && a->w[3] == b->w[3];
}

/* set_addr changes the source (src) or the destination address. */
static __always_inline int set_addr(struct __sk_buff *skb, const struct segment *s, bool src, const struct addr *old,
				    const struct addr *new)
{
	if (same_addr(old, new))
		return 0;
	if (!s->v6)
		return set_v4(skb, s, src ? offsetof(struct iphdr, saddr) : offsetof(struct iphdr, daddr), old->w[3], new->w[3]);
	return set_v6(skb, s, src ? offsetof(struct ipv6hdr, saddr) : offsetof(struct ipv6hdr, daddr), *old, *new);
}

static __always_inline int set_port(struct __sk_buff *skb, const struct segment *s, bool src, __be16 old, __be16 new)
{
	__u32 off = src ? offsetof(struct tcphdr, source) : offsetof(struct tcphdr, dest);

	if (old == new)
		return 0;
	return bpf_l4_csum_replace(skb, CHECK(s), old, new, 2) | bpf_skb_store_bytes(skb, s->l4 + off, &new, 2, 0);
}

/* set_number changes one of the header's sequence numbers, and s with it. */
static __always_inline int set_number(struct __sk_buff *skb, struct segment *s, __be32 *field, __u32 value)
{
	__u32 off = (void *)field - (void *)&s->tcp;
	__be32 old = *field, new = bpf_htonl(value);

	if (old == new)
		return 0;
	*field = new;
	return bpf_l4_csum_replace(skb, CHECK(s), old, new, 4) | bpf_skb_store_bytes(skb, s->l4 + off, &new, 4, 0);
}

/* after reports that a lies behind b, modulo 2^32. */
static __always_inline bool after(__u32 a, __u32 b)
{
	return (__s32)(b - a) < 0;
}

#endif
