/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* At a server: the offer on SYN+ACKs; the handshake of a move, which is the
 * agent's and not TCP's; and flows on hold, so that neither a segment that comes
 * before its socket nor one that comes after it is answered with a RST. */
#ifndef STEER_SERVER_H
#define STEER_SERVER_H

#include "offer.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct flow);
	__type(value, struct hold);
} holds SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct endpoint);
	__type(value, struct service);
} services SEC(".maps");

static __always_inline struct service *service_of(const struct segment *s)
{
	struct endpoint e = {.addr = s->flow.local, .port = s->flow.lport};
	struct service *v = bpf_map_lookup_elem(&services, &e);

	if (v)
		return v;
	__builtin_memset(&e.addr, 0, sizeof(e.addr));
	return bpf_map_lookup_elem(&services, &e);
}

static __always_inline struct hold *hold_of(const struct segment *s)
{
	struct hold *h = bpf_map_lookup_elem(&holds, &s->flow);

	if (h && h->until && bpf_ktime_get_ns() >= h->until)
		return NULL;
	return h;
}

SEC("tc")
int steer_server_in(struct __sk_buff *skb)
{
	struct service *v;
	struct segment s;
	struct hold *h;

	if (parse(skb, &s, false))
		return NEXT;
	if (is_ours(skb, &s)) {
		v = service_of(&s);
		if (v && (!s.tcp.syn || v->flags & TAKES)) {
			tell(skb, &s, TOLD_OPTION, false);
			return SHOT;
		}
	}
	h = hold_of(&s);
	if (!h)
		return NEXT;
	if (h->what & TELL)
		tell(skb, &s, TOLD_HELD, false);
	if (!(h->what & DROP_IN))
		return NEXT;
	count(HELD_IN);
	return SHOT;
}

SEC("tc")
int steer_server_out(struct __sk_buff *skb)
{
	struct service *v;
	struct segment s;
	struct hold *h;

	if (parse(skb, &s, true))
		return NEXT;
	h = hold_of(&s);
	if (h && h->what & DROP_OUT && !is_ours(skb, &s)) {
		count(HELD_OUT);
		return SHOT;
	}
	if (!s.tcp.syn || !s.tcp.ack || s.payload || is_ours(skb, &s))
		return NEXT;
	v = service_of(&s);
	if (v && v->flags & OFFERS && put_offer(skb, &s, v)) {
		count(REFUSED);
		return SHOT; /* half changed; TCP repeats it */
	}
	return NEXT;
}

#endif
