// SPDX-License-Identifier: GPL-2.0
/* bd_offsets.c - struct offsets, told by the compiler that knows them */
#include <linux/bitmap.h>
#include <linux/cred.h>
#include <linux/idr.h>
#include <linux/mm_types.h>
#include <linux/netdevice.h>
#include <linux/percpu_counter.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <linux/xarray.h>
#include <net/inet_connection_sock.h>
#include <net/inet_sock.h>
#include <net/tcp.h>
#include "bd.h"
#include "bd_compat.h"

struct bd_offset {
	const char *name;
	u32 offset, bytes;
};

#define OFF(type, member) \
	{ #type "." #member, offsetof(struct type, member), \
	  sizeof_field(struct type, member) }
/* A flexible array has no size: that of one element. */
#define OFF_ARRAY(type, member) \
	{ #type "." #member, offsetof(struct type, member), \
	  sizeof(((struct type *)0)->member[0]) }
#define SIZE(type) { #type, sizeof(struct type), 0 }

static const struct bd_offset tasks[] = {
	SIZE(task_struct),
	OFF(task_struct, __state), OFF(task_struct, flags), OFF(task_struct, pid),
	OFF(task_struct, tgid), OFF(task_struct, real_parent), OFF(task_struct, parent),
	OFF(task_struct, children), OFF(task_struct, sibling),
	OFF(task_struct, group_leader), OFF(task_struct, thread_node),
	OFF(task_struct, tasks), OFF(task_struct, mm), OFF(task_struct, active_mm),
	OFF(task_struct, comm), OFF(task_struct, start_time),
	OFF(task_struct, start_boottime), OFF(task_struct, utime),
	OFF(task_struct, stime), OFF(task_struct, exit_state),
	OFF(task_struct, signal), OFF(task_struct, sighand), OFF(task_struct, cred),
	OFF(task_struct, real_cred), OFF(task_struct, files),
	OFF(task_struct, thread_pid), OFF(task_struct, pid_links),
	OFF(task_struct, nsproxy), OFF(task_struct, stack),
	OFF(task_struct, prio), OFF(task_struct, static_prio), OFF(task_struct, policy),
	SIZE(cred), OFF(cred, uid), OFF(cred, euid), OFF(cred, gid),
	SIZE(signal_struct), OFF(signal_struct, live), OFF(signal_struct, nr_threads),
	OFF(signal_struct, thread_head), OFF(signal_struct, rlim),
	OFF(signal_struct, utime), OFF(signal_struct, stime),
	OFF(signal_struct, oom_score_adj),
	SIZE(mm_struct), OFF(mm_struct, rss_stat), OFF(mm_struct, pgtables_bytes),
	OFF(mm_struct, total_vm), OFF(mm_struct, mm_users), OFF(mm_struct, mm_count),
	OFF(mm_struct, pgd), OFF(mm_struct, hiwater_rss),
	SIZE(percpu_counter), OFF(percpu_counter, count),
	SIZE(pid), OFF(pid, tasks), OFF_ARRAY(pid, numbers), OFF(pid, level),
	SIZE(upid), OFF(upid, nr), OFF(upid, ns),
	SIZE(pid_namespace), OFF(pid_namespace, idr), OFF(pid_namespace, pid_allocated),
	OFF(pid_namespace, child_reaper), OFF(pid_namespace, level),
	OFF(pid_namespace, user_ns),
	SIZE(idr), OFF(idr, idr_rt), OFF(idr, idr_base),
	SIZE(xarray), OFF(xarray, xa_head),
	SIZE(xa_node), OFF(xa_node, shift), OFF(xa_node, offset), OFF(xa_node, count),
	OFF(xa_node, parent), OFF(xa_node, slots),
	SIZE(list_head), OFF(list_head, next), OFF(list_head, prev),
};

static const struct bd_offset net[] = {
	SIZE(sock),
	OFF(sock, sk_family), OFF(sock, sk_state), OFF(sock, sk_num), OFF(sock, sk_dport),
	OFF(sock, sk_daddr), OFF(sock, sk_rcv_saddr), OFF(sock, sk_v6_daddr),
	OFF(sock, sk_v6_rcv_saddr), OFF(sock, sk_refcnt), OFF(sock, sk_lock),
	OFF(sock, sk_lock.owned), OFF(sock, sk_lock.slock),
	OFF(sock, sk_receive_queue), OFF(sock, sk_write_queue), OFF(sock, sk_backlog),
	OFF(sock, tcp_rtx_queue), OFF(sock, sk_wmem_queued), OFF(sock, sk_sndbuf),
	OFF(sock, sk_rcvbuf), OFF(sock, sk_shutdown), OFF(sock, sk_protocol),
	OFF(sock, sk_type), OFF(sock, sk_flags), OFF(sock, sk_err),
	OFF(sock, sk_lingertime), OFF(sock, sk_mark), OFF(sock, sk_bound_dev_if),
	OFF(sock, sk_socket), OFF(sock, sk_filter), OFF(sock, sk_node),
	SIZE(inet_sock),
	OFF(inet_sock, inet_saddr), OFF(inet_sock, inet_sport), OFF(inet_sock, tos),
	SIZE(inet_connection_sock),
	OFF(inet_connection_sock, icsk_ulp_ops), OFF(inet_connection_sock, icsk_ca_ops),
	OFF(inet_connection_sock, icsk_rto), OFF(inet_connection_sock, icsk_backoff),
	OFF(inet_connection_sock, icsk_retransmits),
	OFF(inet_connection_sock, icsk_ack.lrcvtime),
	OFF(inet_connection_sock, icsk_pmtu_cookie), OFF(inet_connection_sock, icsk_accept_queue),
	SIZE(tcp_sock),
	OFF(tcp_sock, tcp_header_len), OFF(tcp_sock, rcv_nxt), OFF(tcp_sock, copied_seq),
	OFF(tcp_sock, rcv_wup), OFF(tcp_sock, snd_nxt), OFF(tcp_sock, snd_una),
	OFF(tcp_sock, snd_sml), OFF(tcp_sock, snd_wl1), OFF(tcp_sock, snd_wnd),
	OFF(tcp_sock, max_window), OFF(tcp_sock, mss_cache), OFF(tcp_sock, window_clamp),
	OFF(tcp_sock, rcv_ssthresh), OFF(tcp_sock, srtt_us), OFF(tcp_sock, mdev_us),
	OFF(tcp_sock, mdev_max_us), OFF(tcp_sock, rttvar_us), OFF(tcp_sock, packets_out),
	OFF(tcp_sock, retrans_out), OFF(tcp_sock, snd_up), OFF(tcp_sock, rcv_wnd),
	OFF(tcp_sock, write_seq), OFF(tcp_sock, pushed_seq), OFF(tcp_sock, tsoffset),
	OFF(tcp_sock, snd_cwnd), OFF(tcp_sock, snd_ssthresh), OFF(tcp_sock, prior_cwnd),
	OFF(tcp_sock, prior_ssthresh), OFF(tcp_sock, undo_marker), OFF(tcp_sock, total_retrans),
	OFF(tcp_sock, urg_data), OFF(tcp_sock, rx_opt), OFF(tcp_sock, out_of_order_queue),
	OFF(tcp_sock, advmss), OFF(tcp_sock, lsndtime), OFF(tcp_sock, bytes_received),
	OFF(tcp_sock, bytes_acked), OFF(tcp_sock, fastopen_rsk),
	OFF(tcp_sock, tcp_mstamp), OFF(tcp_sock, tcp_wstamp_ns),
	OFF(tcp_sock, tsorted_sent_queue),
#ifdef CONFIG_TCP_MD5SIG
	OFF(tcp_sock, md5sig_info),
#endif
#ifdef CONFIG_TCP_AO
	OFF(tcp_sock, ao_info),
#endif
#ifdef CONFIG_MPTCP
	OFF(tcp_sock, is_mptcp),
#endif
	SIZE(tcp_congestion_ops), OFF(tcp_congestion_ops, name),
	SIZE(tcp_options_received),
	OFF(tcp_options_received, ts_recent_stamp), OFF(tcp_options_received, ts_recent),
	OFF(tcp_options_received, rcv_tsval), OFF(tcp_options_received, rcv_tsecr),
	OFF(tcp_options_received, mss_clamp), OFF(tcp_options_received, user_mss),
	SIZE(sk_buff_head), OFF(sk_buff_head, next), OFF(sk_buff_head, prev),
	OFF(sk_buff_head, qlen),
	SIZE(sk_buff),
	OFF(sk_buff, next), OFF(sk_buff, prev), OFF(sk_buff, rbnode), OFF(sk_buff, sk),
	OFF(sk_buff, cb), OFF(sk_buff, len), OFF(sk_buff, data_len), OFF(sk_buff, tail),
	OFF(sk_buff, end), OFF(sk_buff, head), OFF(sk_buff, data),
	OFF(sk_buff, truesize), OFF(sk_buff, users), OFF(sk_buff, tcp_tsorted_anchor),
	SIZE(tcp_skb_cb),
	OFF(tcp_skb_cb, seq), OFF(tcp_skb_cb, end_seq), OFF(tcp_skb_cb, tcp_flags),
	OFF(tcp_skb_cb, sacked), OFF(tcp_skb_cb, ack_seq),
	SIZE(skb_shared_info),
	OFF(skb_shared_info, nr_frags), OFF(skb_shared_info, flags),
	OFF(skb_shared_info, gso_size), OFF(skb_shared_info, gso_segs),
	OFF(skb_shared_info, frag_list), OFF(skb_shared_info, frags),
	SIZE(rb_node), OFF(rb_node, rb_right), OFF(rb_node, rb_left),
};

static int add_all(const struct bd_offset *list, size_t n)
{
	size_t i;
	int err = 0;

	for (i = 0; i < n && !err; i++)
		err = bd_manifest_offset(list[i].name, list[i].offset, list[i].bytes);
	return err;
}

/* Adds a bit field: its storage unit, and which bits of that it is. */
static int add_bits(const char *name, const unsigned long *image, size_t len, u32 unit)
{
	unsigned long first = find_first_bit(image, len * BITS_PER_BYTE);
	u32 offset = first / BITS_PER_BYTE / unit * unit;
	char text[BD_ENTRY_NAME];
	int err = bd_manifest_offset(name, offset, unit);

	snprintf(text, sizeof(text), "%s.shift", name);
	err = err ?: bd_manifest_value(text, first - offset * BITS_PER_BYTE);
	snprintf(text, sizeof(text), "%s.width", name);
	return err ?: bd_manifest_value(text, bitmap_weight(image, len * BITS_PER_BYTE));
}

/* No offsetof for a bit field: fill it in a zeroed struct and look where it is. */
#define BITS(image, type, member, unit) ({					\
	memset(image, 0, sizeof(struct type));					\
	((struct type *)(image))->member--;	/* 0 - 1: every bit of it */	\
	add_bits(#type "." #member, image,					\
		 ALIGN(sizeof(struct type), sizeof(long)), sizeof(unit)); })

static int add_bit_fields(void)
{
	unsigned long *image = kzalloc(sizeof(struct tcp_sock), GFP_KERNEL);
	int err;

	if (!image)
		return -ENOMEM;
	err = BITS(image, tcp_options_received, tstamp_ok, u16);
	err = err ?: BITS(image, tcp_options_received, wscale_ok, u16);
	err = err ?: BITS(image, tcp_options_received, sack_ok, u16);
	err = err ?: BITS(image, tcp_options_received, snd_wscale, u16);
	err = err ?: BITS(image, tcp_options_received, rcv_wscale, u16);
	err = err ?: BITS(image, sock, sk_userlocks, u8);
	err = err ?: BITS(image, inet_connection_sock, icsk_ca_state, u8);
	err = err ?: BITS(image, tcp_sock, nonagle, u8);
	err = err ?: BITS(image, tcp_sock, repair, u8);
#if BD_TCP_USEC
	err = err ?: BITS(image, tcp_sock, tcp_usec_ts, u8);
#endif
	kfree(image);
	return err;
}

/** bd_offsets_tasks() - processes, credentials, memory, pids */
int bd_offsets_tasks(void)
{
	return add_all(tasks, ARRAY_SIZE(tasks));
}

/** bd_offsets_net() - sockets, TCP, buffers */
int bd_offsets_net(void)
{
	int err = add_all(net, ARRAY_SIZE(net)) ?: add_bit_fields();

#if BD_TCP_USEC
	err = err ?: bd_manifest_offset("skb_frag_t", sizeof(skb_frag_t), 0);
	err = err ?: bd_manifest_offset("skb_frag_t.page", offsetof(skb_frag_t, netmem),
					sizeof_field(skb_frag_t, netmem));
	err = err ?: bd_manifest_offset("skb_frag_t.len", offsetof(skb_frag_t, len), 4);
	err = err ?: bd_manifest_offset("skb_frag_t.offset", offsetof(skb_frag_t, offset), 4);
#else
	err = err ?: bd_manifest_offset("skb_frag_t", sizeof(skb_frag_t), 0);
	err = err ?: bd_manifest_offset("skb_frag_t.page", offsetof(skb_frag_t, bv_page), 8);
	err = err ?: bd_manifest_offset("skb_frag_t.len", offsetof(skb_frag_t, bv_len), 4);
	err = err ?: bd_manifest_offset("skb_frag_t.offset", offsetof(skb_frag_t, bv_offset), 4);
#endif
	return err;
}
