/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The offer on a SYN+ACK (§2.5.2): package mtcp/wire has its layout. Nothing is
 * remembered for it, so a flood of SYNs costs no more than without it, and SYN
 * cookies carry it too. */
#ifndef STEER_OFFER_H
#define STEER_OFFER_H

#include "rewrite.h"

#define OFFER_TYPE 0x11

struct offer {
	__u8 kind;
	__u8 len;
	__be16 experiment;
	__u8 type;
	__u8 part;
	__u8 cert[8];
	__u8 rest[6]; /* an IPv4 server; or two bytes of no operation */
};

_Static_assert(sizeof(struct offer) == 20, "offer");

/* subject is what a certificate binds. */
struct subject {
	struct addr client, server;
	__be16 cport, sport;
	__be32 iss, irs, generation;
};

_Static_assert(sizeof(struct subject) == 48, "subject");

static __always_inline __u64 rotl(__u64 x, int b)
{
	return x << b | x >> (64 - b);
}

static __always_inline void sip_round(__u64 *v)
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static __always_inline void sip_word(__u64 *v, __u64 m)
{
	v[3] ^= m;
	sip_round(v);
	sip_round(v);
	v[0] ^= m;
}

/* certify is SipHash-2-4 (Aumasson, Bernstein 2012). */
static __always_inline __u64 certify(const __u64 key[2], const struct subject *s)
{
	__u64 v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
		      key[1] ^ 0x7465646279746573};
	const __u32 *w = (const void *)s;

#pragma unroll
	for (int i = 0; i < sizeof(*s) / 8; i++)
		sip_word(v, (__u64)w[2 * i + 1] << 32 | w[2 * i]);
	sip_word(v, (__u64)sizeof(*s) << 56);
	v[2] ^= 0xff;
#pragma unroll
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static __always_inline void make_offer(struct offer *o, const struct segment *s, const struct service *v)
{
	struct subject sub = {
		.client = s->flow.remote, .server = s->flow.local, .cport = s->flow.rport, .sport = s->flow.lport,
		.iss = s->tcp.seq, .irs = bpf_htonl(bpf_ntohl(s->tcp.ack_seq) - 1),
		.generation = bpf_htonl(1), /* where it was accepted */
	};
	__u64 cert = certify(v->key, &sub);

	o->kind = EXPERIMENT;
	o->len = s->v6 || !v->server.port ? 14 : 20;
	o->experiment = bpf_htons(0x4d54);
	o->type = OFFER_TYPE;
	o->part = s->v6 ? v->parts_v6 : v->parts_v4;
	__builtin_memcpy(o->cert, &cert, sizeof(cert));
	__builtin_memcpy(o->rest, &v->server.addr.w[3], 4);
	__builtin_memcpy(o->rest + 4, &v->server.port, 2);
	if (o->len == 14)
		o->rest[0] = o->rest[1] = 1;
}

/* lengthen corrects what counts the bytes of the packet: n more. */
static __always_inline int lengthen(struct __sk_buff *skb, const struct segment *s, __u32 n)
{
	__u32 tcp = skb->len - s->l4;
	__u16 head = s->tcp.doff << 12 | (((const __u8 *)&s->tcp)[13]);
	__be16 old = bpf_htons(tcp), new = bpf_htons(tcp + n), len, more;
	int err = bpf_l4_csum_replace(skb, CHECK(s), old, new, BPF_F_PSEUDO_HDR | 2);

	old = bpf_htons(head);
	new = bpf_htons(head + ((n / 4) << 12));
	err |= bpf_l4_csum_replace(skb, CHECK(s), old, new, 2);
	err |= bpf_skb_store_bytes(skb, s->l4 + 12, &new, 2, 0);
	if (s->v6) {
		more = bpf_htons(tcp + n);
		return err | bpf_skb_store_bytes(skb, l2_len + offsetof(struct ipv6hdr, payload_len), &more, 2,
						 BPF_F_RECOMPUTE_CSUM); /* as in set_v6 */
	}
	err |= bpf_skb_load_bytes(skb, l2_len + offsetof(struct iphdr, tot_len), &len, 2);
	more = bpf_htons(bpf_ntohs(len) + n);
	err |= bpf_l3_csum_replace(skb, l2_len + offsetof(struct iphdr, check), len, more, 2);
	return err | bpf_skb_store_bytes(skb, l2_len + offsetof(struct iphdr, tot_len), &more, 2, 0);
}

/* put_offer puts the offer before a SYN+ACK's options. Moved by whole words they
 * leave the checksum as it is. */
static __always_inline int put_offer(struct __sk_buff *skb, const struct segment *s, const struct service *v)
{
	__u32 old[MAX_OPTIONS / 4], at = s->l4 + sizeof(s->tcp), n;
	struct offer o = {};
	int err;

	make_offer(&o, s, v);
	n = o.len == 14 ? 16 : 20;
	if (s->options + n > MAX_OPTIONS) {
		count(OFFERS_TOO_LONG);
		return 0;
	}
	load_options(skb, s, old);
	err = lengthen(skb, s, n);
	if (n == 16) /* nothing behind it counts */
		__builtin_memset(o.rest + 2, 0, 4);
	err |= bpf_l4_csum_replace(skb, CHECK(s), 0, bpf_csum_diff(NULL, 0, (void *)&o, sizeof(o), 0), 0);
	err |= bpf_skb_change_tail(skb, skb->len + n, 0);
	if (n == 16)
		err |= bpf_skb_store_bytes(skb, at, &o, 16, 0);
	else
		err |= bpf_skb_store_bytes(skb, at, &o, 20, 0);
#pragma unroll
	for (int i = 0; i < 6; i++) /* 24 bytes are the most there can be */
		if (i * 4 < s->options)
			err |= bpf_skb_store_bytes(skb, at + n + i * 4, &old[i], 4, 0);
	if (!err)
		count(OFFERED);
	return err;
}

#endif
