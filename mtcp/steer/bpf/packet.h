/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Reading segments. Fixed lengths throughout: clang 14 and the verifier do not
 * agree on variable ones. */
#ifndef STEER_PACKET_H
#define STEER_PACKET_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include "maps.h"

#define NEXT (-1) /* TC_ACT_UNSPEC, TCX_NEXT: let the next program decide */
#define SHOT 2
#define IP_FRAGMENT 0x3fff

#define EXPERIMENT 253
#define MT_HEAD bpf_htonl(0xfd004d54) /* but for the length in the second byte */
#define MT_MASK bpf_htonl(0xff00ffff)

/* 14 on Ethernet, 0 on links without addresses: the loader knows. */
volatile const __u32 l2_len = ETH_HLEN;

struct segment {
	struct flow flow;
	__u32 l4;      /* where TCP begins */
	__u32 payload; /* bytes */
	__u32 options; /* bytes */
	__u32 v6;
	struct tcphdr tcp;
};

static __always_inline void map_v4(struct addr *a, __be32 v4)
{
	a->w[0] = 0;
	a->w[1] = 0;
	a->w[2] = bpf_htonl(0xffff);
	a->w[3] = v4;
}

static __always_inline int parse_v4(struct __sk_buff *skb, struct segment *s, bool out)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, l2_len, &ip, sizeof(ip)) || ip.protocol != IPPROTO_TCP)
		return -1;
	if (ip.frag_off & bpf_htons(IP_FRAGMENT))
		return -1;
	map_v4(&s->flow.local, out ? ip.saddr : ip.daddr);
	map_v4(&s->flow.remote, out ? ip.daddr : ip.saddr);
	s->l4 = l2_len + ip.ihl * 4;
	s->v6 = 0;
	return 0;
}

/* Extension headers before TCP do not occur, and are left alone. */
static __always_inline int parse_v6(struct __sk_buff *skb, struct segment *s, bool out)
{
	struct ipv6hdr ip;

	if (bpf_skb_load_bytes(skb, l2_len, &ip, sizeof(ip)) || ip.nexthdr != IPPROTO_TCP)
		return -1;
	__builtin_memcpy(&s->flow.local, out ? &ip.saddr : &ip.daddr, 16);
	__builtin_memcpy(&s->flow.remote, out ? &ip.daddr : &ip.saddr, 16);
	s->l4 = l2_len + sizeof(ip);
	s->v6 = 1;
	return 0;
}

/* parse reads the headers of a segment; out says that the local end sent it.
 * What the IP header says about the length does not count: that of a large
 * segment (TSO, GRO) is the buffer's. */
static __always_inline int parse(struct __sk_buff *skb, struct segment *s, bool out)
{
	__u32 head;
	int err = -1;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		err = parse_v4(skb, s, out);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		err = parse_v6(skb, s, out);
	if (err || bpf_skb_load_bytes(skb, s->l4, &s->tcp, sizeof(s->tcp)))
		return -1;
	head = s->tcp.doff * 4;
	if (head < sizeof(s->tcp) || skb->len < s->l4 + head)
		return -1;
	s->options = head - sizeof(s->tcp);
	s->payload = skb->len - s->l4 - head;
	s->flow.lport = out ? s->tcp.source : s->tcp.dest;
	s->flow.rport = out ? s->tcp.dest : s->tcp.source;
	return 0;
}

/* is_ours reports a segment whose first option is M-TCP's. None of them carries
 * payload. */
static __always_inline bool is_ours(struct __sk_buff *skb, const struct segment *s)
{
	__be32 head;

	if (s->payload || s->options < 8)
		return false;
	if (bpf_skb_load_bytes(skb, s->l4 + sizeof(s->tcp), &head, sizeof(head)))
		return false;
	return (head & MT_MASK) == MT_HEAD;
}

static __always_inline void load_options(struct __sk_buff *skb, const struct segment *s, void *to)
{
	__u32 *w = to;

#pragma unroll
	for (int i = 0; i < MAX_OPTIONS / 4; i++) {
		w[i] = 0;
		if (i * 4 < s->options)
			bpf_skb_load_bytes(skb, s->l4 + sizeof(s->tcp) + i * 4, &w[i], 4);
	}
}

/* tell hands a segment to the agent, if there is room. */
static __always_inline void tell(struct __sk_buff *skb, const struct segment *s, __u8 told, bool out)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		count(TELLINGS_LOST);
		return;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->time = bpf_ktime_get_ns();
	e->flow = s->flow;
	e->ifindex = skb->ifindex;
	e->seq = bpf_ntohl(s->tcp.seq);
	e->ack = bpf_ntohl(s->tcp.ack_seq);
	e->payload = s->payload;
	e->window = bpf_ntohs(s->tcp.window);
	e->flags = ((const __u8 *)&s->tcp)[13];
	e->told = told;
	e->options_len = s->options;
	e->out = out;
	load_options(skb, s, e->options);
	bpf_ringbuf_submit(e, 0);
	count(TELLINGS);
}

#endif
