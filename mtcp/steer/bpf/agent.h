/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The client's agent (§2.5.2), and the same at a gateway that the client's
 * traffic crosses. Attached where the traffic to the servers leaves and what
 * they send comes in. */
#ifndef STEER_AGENT_H
#define STEER_AGENT_H

#include "sack.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct flow); /* as the application has it */
	__type(value, struct session);
} sessions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct flow); /* as it is on the wire */
	__type(value, struct wire);
} wires SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} keeping SEC(".maps");

/* note_seen is for whoever sweeps sessions that are over. */
static __always_inline void note_seen(struct session *m, __u32 fin, const struct segment *s)
{
	if (s->tcp.fin)
		m->seen |= fin;
	if (s->tcp.rst)
		m->seen |= SEEN_RST;
}

static __always_inline void note_passed(struct session *m)
{
	m->last = bpf_ktime_get_coarse_ns();
}

/* vanish drops what the host's TCP is to take for sent: a redirection to nowhere.
 * TCX has no TC_ACT_STOLEN, and lets pass what it does not know. */
static __always_inline int vanish(void)
{
	return bpf_redirect(0, 0);
}

#define ALONE 1000000000ull /* ns */

/* none_on_its_way reports a client's TCP that waits for no acknowledgement. */
static __always_inline bool none_on_its_way(struct __sk_buff *skb)
{
	struct bpf_tcp_sock *tp = NULL;
	struct bpf_sock *sk = skb->sk;

	if (sk)
		tp = bpf_tcp_sock(sk);
	return tp && !tp->packets_out;
}

/* refuse does not let the client's TCP send. It takes SHOT for a lack of room in
 * its own host: what it has not sent goes at S2's first word, and no timer is
 * waited for. But if nothing of it is on its way it tries only tcp_retries2
 * times, twice a second (tcp_send_probe0), and ends the connection. So one that
 * has been alone for a while hears that its first segment is sent: that it
 * repeats, likewise, for as long as TCP ever does (tcp_retransmit_timer). What
 * carries nothing is not sent again: an acknowledgement, a RST; or asks for a
 * window, which is tried as often, but less and less. */
static __always_inline int refuse(struct __sk_buff *skb, const struct segment *s, const struct session *m)
{
	if (!s->payload && !s->tcp.fin && !s->tcp.syn)
		return vanish();
	if (bpf_ktime_get_ns() < m->last + ALONE || !none_on_its_way(skb))
		return SHOT;
	return vanish();
}

/* hold_back does not let a segment leave. At a client its TCP sends it again; at
 * a gateway the client has sent it, and only we have it. */
static __always_inline int hold_back(struct __sk_buff *skb, const struct segment *s, struct session *m)
{
	struct kept k = {.app = s->flow, .link = l2_len, .len = skb->len};

	count(DATA_HELD);
	if (!(m->flags & KEEP))
		return refuse(skb, s, m);
	note_passed(m);
	if (!s->payload && !s->tcp.fin)
		return SHOT;
	if (bpf_perf_event_output(skb, &keeping, BPF_F_CURRENT_CPU | (__u64)skb->len << 32, &k, sizeof(k)))
		count(KEPT_LOST);
	else
		count(KEPT);
	return SHOT;
}

/* holding reports a session that is MIGRATING. One whose agent has gone is not
 * for ever. */
static __always_inline bool holding(const struct session *m)
{
	if (m->state != MIGRATING)
		return false;
	if (!m->deadline || bpf_ktime_get_ns() < m->deadline)
		return true;
	count(EXPIRED);
	return false;
}

/* rewrite_out turns the application's segment into one of the wire. */
static __always_inline int rewrite_out(struct __sk_buff *skb, struct segment *s, const struct session *m)
{
	int err;

	err = set_addr(skb, s, false, &s->flow.remote, &m->wire.remote);
	err |= set_port(skb, s, false, s->flow.rport, m->wire.rport);
	err |= set_port(skb, s, true, s->flow.lport, m->wire.lport);
	if (m->up)
		err |= set_number(skb, s, &s->tcp.seq, bpf_ntohl(s->tcp.seq) + m->up);
	if (m->down && s->tcp.ack) {
		err |= set_number(skb, s, &s->tcp.ack_seq, bpf_ntohl(s->tcp.ack_seq) + m->down);
		err |= change_sack(skb, s, m->down, false) < 0;
	}
	return err;
}

static __always_inline bool same_flow(const struct flow *a, const struct flow *b)
{
	return same_addr(&a->remote, &b->remote) && a->lport == b->lport && a->rport == b->rport;
}

static __always_inline int leave(struct __sk_buff *skb, struct segment *s, const struct session *m)
{
	bool moved = !same_flow(&s->flow, &m->wire);

	if (!moved && !m->up && !m->down)
		return NEXT;
	if (rewrite_out(skb, s, m)) {
		count(REFUSED);
		return SHOT;
	}
	count(REWRITTEN_OUT);
	if (!moved || m->flags & DIRECT || !l2_len)
		return NEXT;
	return bpf_redirect_neigh(m->oif ? m->oif : skb->ifindex, NULL, 0, 0);
}

SEC("tc")
int steer_out(struct __sk_buff *skb)
{
	struct session *m;
	struct segment s;

	if (parse(skb, &s, true))
		return NEXT;
	m = bpf_map_lookup_elem(&sessions, &s.flow);
	if (!m || is_ours(skb, &s)) /* the handshake of a server that comes back */
		return NEXT;
	note_seen(m, SEEN_FIN_OUT, &s);
	if (s.tcp.rst && m->state != MOVED)
		tell(skb, &s, TOLD_ABORT, true);
	if (holding(m) && (s.payload || s.tcp.fin || s.tcp.syn))
		return hold_back(skb, &s, m);
	if (m->state == SWITCHED) /* it would meet a RST */
		return hold_back(skb, &s, m);
	note_passed(m);
	if (m->flags & CLAMP_OUT && s.tcp.ack && after(bpf_ntohl(s.tcp.ack_seq), m->sent)) {
		if (set_number(skb, &s, &s.tcp.ack_seq, m->sent))
			return SHOT;
		count(ACKS_CLAMPED_OUT);
	}
	return leave(skb, &s, m);
}

/* rewrite_in turns a segment of the wire into one of the application's server. */
static __always_inline int rewrite_in(struct __sk_buff *skb, struct segment *s, const struct session *m,
				      const struct flow *app)
{
	int err;

	err = set_addr(skb, s, true, &s->flow.remote, &app->remote);
	err |= set_port(skb, s, true, s->flow.rport, app->rport);
	err |= set_port(skb, s, false, s->flow.lport, app->lport);
	if (m->down)
		err |= set_number(skb, s, &s->tcp.seq, bpf_ntohl(s->tcp.seq) - m->down);
	if (m->up && s->tcp.ack) {
		err |= set_number(skb, s, &s->tcp.ack_seq, bpf_ntohl(s->tcp.ack_seq) - m->up);
		err |= change_sack(skb, s, -m->up, false) < 0;
	}
	return err;
}

/* as_of_then hides from the client what S1 acknowledges while the session moves:
 * it may not be in what S2 gets (§2.5.2). */
static __always_inline int as_of_then(struct __sk_buff *skb, struct segment *s, const struct session *m)
{
	int sack;

	if (!(m->flags & CLAMP_IN) || !s->tcp.ack)
		return 0;
	sack = change_sack(skb, s, 0, true);
	if (sack < 0)
		return -1;
	if (sack)
		count(SACKS_BLANKED);
	if (!after(bpf_ntohl(s->tcp.ack_seq), m->frozen))
		return 0;
	count(ACKS_CLAMPED_IN);
	return set_number(skb, s, &s->tcp.ack_seq, m->frozen);
}

/* note_sent follows how far the current server has sent. */
static __always_inline void note_sent(const struct segment *s, struct session *m)
{
	__u32 end = bpf_ntohl(s->tcp.seq) + s->payload + s->tcp.fin;

	if (after(end, m->sent))
		m->sent = end;
}

/* opens reports whether a segment is S2's first word: it lies where the session
 * is, so that nobody else's guess opens the way to a server not yet there. */
static __always_inline bool opens(const struct segment *s, const struct session *m)
{
	__s32 ahead = bpf_ntohl(s->tcp.seq) - m->down - m->sent;

	if (s->tcp.rst || !s->tcp.ack)
		return false;
	if (m->flags & CLAMP_OUT && (ahead < -(1 << 16) || ahead > 1 << 20))
		return false;
	return !(m->flags & CLAMP_IN) || !after(m->frozen, bpf_ntohl(s->tcp.ack_seq) - m->up);
}

static __always_inline void open(struct session *m)
{
	m->state = MOVED;
	count(OPENED);
}

static __always_inline int come(struct __sk_buff *skb, struct segment *s, struct session *m, const struct flow *app)
{
	if (m->state != MIGRATING && s->tcp.syn) { /* the SYN+ACK repeated: our ACK was lost */
		tell(skb, s, TOLD_NEXT, false);
		return SHOT;
	}
	if (m->state == SWITCHED) {
		if (!opens(s, m)) {
			count(BLACKHOLED);
			return SHOT;
		}
		open(m);
	}
	if (holding(m) && (s->tcp.rst || s->tcp.fin || s->tcp.syn)) {
		count(BLACKHOLED);
		return SHOT;
	}
	note_seen(m, SEEN_FIN_IN, s);
	note_passed(m);
	if (rewrite_in(skb, s, m, app)) {
		count(REFUSED);
		return SHOT;
	}
	if (m->flags & CLAMP_OUT)
		note_sent(s, m);
	if (holding(m) && as_of_then(skb, s, m))
		return SHOT;
	count(REWRITTEN_IN);
	return NEXT;
}

/* At a gateway: what a client and its servers say to each other is theirs. */
volatile const __u32 passing = 0;

/* unasked is a segment of no session that moves: it may offer or advise. */
static __always_inline int unasked(struct __sk_buff *skb, const struct segment *s)
{
	if (passing || !is_ours(skb, s))
		return NEXT;
	tell(skb, s, s->tcp.syn ? TOLD_OFFER : TOLD_OPTION, false);
	return s->tcp.syn ? NEXT : SHOT; /* the SYN+ACK is TCP's too */
}

SEC("tc")
int steer_in(struct __sk_buff *skb)
{
	struct session *m;
	struct segment s;
	struct wire *w;

	if (parse(skb, &s, false))
		return NEXT;
	w = bpf_map_lookup_elem(&wires, &s.flow);
	if (!w)
		return unasked(skb, &s);
	m = bpf_map_lookup_elem(&sessions, &w->app);
	if (!m)
		return NEXT;
	if (w->hop == m->hop) {
		if (is_ours(skb, &s) && !s.tcp.syn) { /* MIGRATE_ADVISE of the server it has; MIGRATE_ARRIVED */
			if (m->state == SWITCHED && opens(&s, m))
				open(m);
			tell(skb, &s, TOLD_OPTION, false);
			return SHOT;
		}
		return come(skb, &s, m, &w->app);
	}
	if (w->hop && w->hop == m->next && m->state == MIGRATING) {
		tell(skb, &s, TOLD_NEXT, false);
		return SHOT;
	}
	count(BLACKHOLED);
	return SHOT;
}

#endif
