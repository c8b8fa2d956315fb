// SPDX-License-Identifier: GPL-2.0
/*
 * bd_box.c - the directory of continuation boxes: whose they are, and the
 * socket of each. The module holds the socket and never its file, so a
 * connection ends when its processes and the keeper let go of it, as ever; and
 * TCP knows nothing of boxes, so it pays nothing for them.
 */
#include <linux/bitmap.h>
#include <linux/file.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <net/inet_sock.h>
#include <net/ipv6.h>
#include <net/tcp.h>
#include "bd.h"
#include "bd_arena.h"
#include "bd_user.h"

static uint user_boxes_mib = 24;
module_param(user_boxes_mib, uint, 0644);
MODULE_PARM_DESC(user_boxes_mib, "continuation boxes of one user other than root (MiB, default 24)");

/*
 * Guards the directory and the arena's slots. Taken under mmap_lock, so it
 * covers no copy to or from user space.
 */
DEFINE_MUTEX(bd_box_lock);
static unsigned long *used;	/* entries */
static u64 generation;

#define CONNECTED	(TCPF_ESTABLISHED | TCPF_FIN_WAIT1 | TCPF_FIN_WAIT2 | \
			 TCPF_CLOSE_WAIT | TCPF_CLOSING | TCPF_LAST_ACK)

/* What a user has; one without boxes is not in the list. */
struct share {
	struct list_head list;
	u32 uid;
	u32 pages;
};

static LIST_HEAD(shares);

static struct share *share_of(u32 uid)
{
	struct share *s;

	list_for_each_entry(s, &shares, list)
		if (s->uid == uid)
			return s;
	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (s) {
		s->uid = uid;
		list_add(&s->list, &shares);
	}
	return s;
}

static void share_put(struct share *s, u32 pages)
{
	s->pages -= pages;
	if (s->pages)
		return;
	list_del(&s->list);
	kfree(s);
}

static int share_take(u32 uid, u32 pages)
{
	const u64 most = (u64)user_boxes_mib << 20 >> PAGE_SHIFT;
	struct share *s = share_of(uid);

	if (!s)
		return -ENOMEM;
	s->pages += pages;
	if (!uid || s->pages <= most)
		return 0;
	share_put(s, pages);
	return -EDQUOT;
}

static void end_of(struct bd_box_end *out, struct sock *sk, bool remote)
{
	memset(out, 0, sizeof(*out));
	out->port = remote ? ntohs(inet_sk(sk)->inet_dport) : inet_sk(sk)->inet_num;
	out->family = AF_INET;
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6 && !ipv6_addr_v4mapped(&sk->sk_v6_daddr)) {
		struct in6_addr *a = remote ? &sk->sk_v6_daddr : &sk->sk_v6_rcv_saddr;

		out->family = AF_INET6;
		if (ipv6_addr_type(a) & IPV6_ADDR_LINKLOCAL)
			out->scope = sk->sk_bound_dev_if;
		memcpy(out->addr, a, sizeof(*a));
		return;
	}
#endif
	memcpy(out->addr, remote ? &sk->sk_daddr : &sk->sk_rcv_saddr, 4);
}

static int check_sock(const struct sock *sk)
{
	if (sk->sk_family != AF_INET && sk->sk_family != AF_INET6)
		return -EAFNOSUPPORT;
	if (sk->sk_type != SOCK_STREAM || sk->sk_protocol != IPPROTO_TCP)
		return -EPROTOTYPE;	/* MPTCP has a protocol of its own */
	return (1 << READ_ONCE(sk->sk_state)) & CONNECTED ? 0 : -ENOTCONN;
}

/* A socket with a reference, or none, and what the entry says of it. */
struct held {
	struct sock *sk;
	struct bd_box_end local, remote;
	u32 netns, rcv_first, snd_first;
};

/* Its user may be in the middle of a change: the numbers agree under its lock. */
static void look(struct held *h)
{
	const struct tcp_sock *tp = tcp_sk(h->sk);

	lock_sock(h->sk);
	h->rcv_first = tp->rcv_nxt - (u32)tp->bytes_received;
	h->snd_first = tp->snd_una - (u32)tp->bytes_acked;
	end_of(&h->local, h->sk, false);
	end_of(&h->remote, h->sk, true);
	release_sock(h->sk);
	h->netns = sock_net(h->sk)->ns.inum;
}

/* Of a descriptor; -1: none. */
static int hold(struct held *h, int fd)
{
	struct socket *socket;
	int err;

	memset(h, 0, sizeof(*h));
	if (fd == -1)
		return 0;
	socket = sockfd_lookup(fd, &err);
	if (!socket)
		return err;
	err = socket->sk ? check_sock(socket->sk) : -ENOTCONN;
	if (!err) {
		h->sk = socket->sk;
		sock_hold(h->sk);
		look(h);
	}
	sockfd_put(socket);
	return err;
}

static void unhold(struct sock *sk)
{
	if (sk)
		sock_put(sk);
}

/* Takes over the reference; returns that to the socket before. */
static struct sock *bind(struct bd_file_box *box, const struct held *h)
{
	struct bd_box *e = box->entry;
	struct sock *old = box->sk;

	WRITE_ONCE(e->state, BD_BOX_NEW);
	smp_wmb();	/* not bound while it changes */
	box->sk = h->sk;
	e->sock = (u64)(uintptr_t)h->sk;
	e->local = h->local;
	e->remote = h->remote;
	e->netns = h->netns;
	e->rcv_first = h->rcv_first;
	e->snd_first = h->snd_first;
	if (h->sk)
		smp_store_release(&e->state, BD_BOX_BOUND);	/* after all that it promises */
	return old;
}

static void entry_fill(struct bd_file_box *box)
{
	struct bd_box *e = box->entry;

	memset(e, 0, sizeof(*e));
	e->uid = box->uid;
	e->generation = ++generation;
	e->first = box->first;
	e->pages = box->pages;
	smp_store_release(&e->state, BD_BOX_NEW);	/* after what it is the state of */
	WRITE_ONCE(bd_arena()->generation, generation);
	WRITE_ONCE(bd_arena()->boxes, bd_arena()->boxes + 1);
}

/* Entry and slots for a box whose uid and pages are set. */
static int place(struct bd_file_box *box)
{
	u32 i = find_first_zero_bit(used, bd_arena()->capacity);
	int err = share_take(box->uid, box->pages);

	if (err)
		return err;
	err = i < bd_arena()->capacity ? bd_arena_take(box->pages, &box->first) : -ENOSPC;
	if (err) {
		share_put(share_of(box->uid), box->pages);
		return err;
	}
	set_bit(i, used);
	box->entry = bd_arena_entry(i);
	entry_fill(box);
	return 0;
}

static void tell(const struct bd_file_box *box, struct bd_ioc_box *req)
{
	req->length = (u64)box->pages << PAGE_SHIFT;
	req->offset = BD_BOX_OFFSET + ((u64)box->first << PAGE_SHIFT);
	req->generation = box->entry->generation;
	req->socket = !!box->sk;
}

static int make(struct bd_user *user, struct bd_ioc_box *req, const struct held *h)
{
	struct bd_file_box *box = kzalloc(sizeof(*box), GFP_KERNEL_ACCOUNT);
	int err = -EBUSY;

	if (!box)
		return -ENOMEM;
	box->uid = user->uid;
	box->pages = DIV_ROUND_UP_ULL(req->length, PAGE_SIZE);
	mutex_lock(&bd_box_lock);
	if (!user->box)
		err = place(box);
	if (!err) {
		bind(box, h);
		tell(box, req);
		smp_store_release(&user->box, box);	/* mmap takes no lock */
	}
	mutex_unlock(&bd_box_lock);
	if (err)
		kfree(box);
	return err;
}

static int ioc_new(struct bd_user *user, struct bd_ioc_box *req)
{
	struct held h;
	int err;

	if (req->offset || req->generation || !req->length)
		return -EINVAL;
	if (req->length > (u64)bd_arena()->slots << PAGE_SHIFT)
		return -ENOSPC;
	err = hold(&h, req->socket);
	if (err)
		return err;
	err = make(user, req, &h);
	if (err)
		unhold(h.sk);
	return err;
}

static int ioc_get(struct bd_user *user, struct bd_ioc_box *req)
{
	int err = -ENOENT;

	mutex_lock(&bd_box_lock);
	if (user->box) {
		tell(user->box, req);
		err = 0;
	}
	mutex_unlock(&bd_box_lock);
	return err;
}

static long ioc_box(struct bd_user *user, void __user *arg,
		    int (*fn)(struct bd_user *, struct bd_ioc_box *))
{
	struct bd_ioc_box req;
	int err;

	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	if (req.version != BD_VERSION_MAJOR)
		return -EPROTO;
	err = fn(user, &req);
	if (err)
		return err;
	return copy_to_user(arg, &req, sizeof(req)) ? -EFAULT : 0;
}

static long ioc_socket(struct bd_user *user, void __user *arg)
{
	struct bd_ioc_box_socket req;
	struct held h;
	int err;

	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	if (req.version != BD_VERSION_MAJOR)
		return -EPROTO;
	err = hold(&h, req.socket);
	if (err)
		return err;
	mutex_lock(&bd_box_lock);
	if (user->box)
		h.sk = bind(user->box, &h);
	else
		err = -ENOENT;
	mutex_unlock(&bd_box_lock);
	unhold(h.sk);	/* the one before, or the one that found no box */
	return err;
}

/**
 * bd_box_ioctl() - BD_IOC_NEW_BOX, BD_IOC_BOX_SOCKET, BD_IOC_GET_BOX
 * @user: of the open file
 * @cmd: which of them
 * @arg: of the caller
 */
long bd_box_ioctl(struct bd_user *user, unsigned int cmd, void __user *arg)
{
	if (!bd_arena())
		return -EOPNOTSUPP;
	switch (cmd) {
	case BD_IOC_NEW_BOX:
		return ioc_box(user, arg, ioc_new);
	case BD_IOC_GET_BOX:
		return ioc_box(user, arg, ioc_get);
	default:
		return ioc_socket(user, arg);
	}
}

/**
 * bd_box_close() - the file is gone, and with it every mapping
 * @user: of the file
 */
void bd_box_close(struct bd_user *user)
{
	struct bd_file_box *box = user->box;
	const struct held none = {};
	struct sock *sk;

	if (!box)
		return;
	mutex_lock(&bd_box_lock);
	sk = bind(box, &none);
	WRITE_ONCE(box->entry->state, BD_BOX_FREE);
	clear_bit(box->entry - bd_arena_entry(0), used);
	bd_arena_give(box->first, box->pages);
	share_put(share_of(box->uid), box->pages);
	WRITE_ONCE(bd_arena()->boxes, bd_arena()->boxes - 1);
	mutex_unlock(&bd_box_lock);
	unhold(sk);
	kfree(box);
}

int bd_box_init(void)
{
	int err = bd_arena_init();

	if (err || !bd_arena())
		return err;
	used = bitmap_zalloc(bd_arena()->capacity, GFP_KERNEL);
	if (used)
		return 0;
	bd_arena_exit();
	return -ENOMEM;
}

void bd_box_exit(void)
{
	bitmap_free(used);
	bd_arena_exit();
}
