/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The numbers of a connection of this network namespace, on any kernel and
 * without tracing: run by hand (BPF_PROG_TEST_RUN) with a struct query behind an
 * Ethernet header, which holds the answer afterwards. */
#ifndef STEER_QUERY_H
#define STEER_QUERY_H

#include <linux/if_ether.h>

#include "maps.h"

static __always_inline void answer(struct query *q, struct bpf_sock *sk)
{
	struct bpf_tcp_sock *tp = bpf_tcp_sock(sk);

	q->state = sk->state;
	q->found = tp ? 1 : 2;
	if (!tp)
		return;
	q->snd_una = tp->snd_una;
	q->snd_nxt = tp->snd_nxt;
	q->rcv_nxt = tp->rcv_nxt;
	q->srtt_us = tp->srtt_us;
	q->snd_cwnd = tp->snd_cwnd;
	q->mss = tp->mss_cache;
	q->total_retrans = tp->total_retrans;
	q->bytes_received = tp->bytes_received;
	q->bytes_acked = tp->bytes_acked;
}

SEC("tc")
int steer_query(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct query *q = data + ETH_HLEN;
	struct bpf_sock_tuple t = {};
	struct bpf_sock *sk;

	if ((void *)(q + 1) > end)
		return 1;
	if (q->v6) { /* the socket is found by what comes to it: the remote end is the source */
		__builtin_memcpy(t.ipv6.saddr, &q->flow.remote, 16);
		__builtin_memcpy(t.ipv6.daddr, &q->flow.local, 16);
		t.ipv6.sport = q->flow.rport;
		t.ipv6.dport = q->flow.lport;
		sk = bpf_skc_lookup_tcp(skb, &t, sizeof(t.ipv6), BPF_F_CURRENT_NETNS, 0);
	} else {
		t.ipv4.saddr = q->flow.remote.w[3];
		t.ipv4.daddr = q->flow.local.w[3];
		t.ipv4.sport = q->flow.rport;
		t.ipv4.dport = q->flow.lport;
		sk = bpf_skc_lookup_tcp(skb, &t, sizeof(t.ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	if (!sk)
		return 0;
	answer(q, sk);
	bpf_sk_release(sk);
	return 0;
}

#endif
