/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.c - what the kernel says of a socket: its counters, and whether it can be moved. */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "impl.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP	262
#endif
#define AO_INFO		40	/* TCP_AO_INFO, since 6.7 */

/* include/net/tcp_states.h */
enum { ESTABLISHED = 1, SYN_RECV = 3, FIN_WAIT1 = 4, FIN_WAIT2 = 5, CLOSED = 7, CLOSE_WAIT = 8, LAST_ACK = 9, CLOSING = 11 };

static int own_fin(int s) { return s == FIN_WAIT1 || s == FIN_WAIT2 || s == CLOSING || s == LAST_ACK; }
static int peer_fin(int s) { return s == CLOSE_WAIT || s == LAST_ACK || s == CLOSING; }
static int movable(int s) { return s == ESTABLISHED || own_fin(s) || peer_fin(s); }

static int tcp_info(int fd, struct tcp_info *info)
{
	socklen_t n = sizeof(*info);

	memset(info, 0, sizeof(*info));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &n) < 0)
		return -errno;
	return n < offsetof(struct tcp_info, tcpi_bytes_received) + 8 ? -ENOSYS : 0;
}

/* What TCP_INQ counts as unread; -1 of a socket that cannot be read. */
static int unread_with_fin(int fd)
{
	char b, oob[256];
	int on = 1, n = -1;
	struct iovec v = { &b, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = oob, .msg_controllen = sizeof(oob) };
	ssize_t got;

	if (setsockopt(fd, IPPROTO_TCP, TCP_INQ, &on, sizeof(on)) < 0)
		return -1;
	do
		got = recvmsg(fd, &m, MSG_PEEK | MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -1;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h))
		if (h->cmsg_level == IPPROTO_TCP && h->cmsg_type == TCP_CM_INQ)
			memcpy(&n, CMSG_DATA(h), sizeof(n));
	return n;
}

/*
 * A socket in CLOSE that the peer's FIN has come to, and no error waits to be told:
 * SIOCINQ leaves the FIN off, TCP_INQ counts it. As isWhole of Go.
 */
static int whole(int fd)
{
	struct pollfd p = { .fd = fd };
	int before, with, after, n;

	do
		n = poll(&p, 1, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 || (p.revents & POLLERR))
		return 0;
	for (int i = 0; i < 10000; i++) {
		if (ioctl(fd, SIOCINQ, &before) < 0)
			return 0;
		with = unread_with_fin(fd);
		if (with < 0 || ioctl(fd, SIOCINQ, &after) < 0)
			return 0;
		if (before == after)
			return with == before + 1;
	}
	return 0;
}

/*
 * Where the application has read and written to. A system call is never half
 * done, so this is exact after a SIGKILL at any instruction. While segments
 * arrive the numbers are read again until two readings agree.
 */
int conn_offsets(int fd, uint64_t read_base, uint64_t write_base, uint64_t *read, uint64_t *written)
{
	struct tcp_info was, is;
	uint64_t received, sent;
	int unread, unacked, ended, err = tcp_info(fd, &was);

	for (int i = 0;; i++, was = is) {
		if (err)
			return err;
		if (i == 10000)
			return -EBUSY;
		if (ioctl(fd, SIOCINQ, &unread) < 0 || ioctl(fd, SIOCOUTQ, &unacked) < 0)
			return -errno;
		err = tcp_info(fd, &is);
		if (!err && was.tcpi_state == is.tcpi_state && was.tcpi_bytes_received == is.tcpi_bytes_received &&
		    was.tcpi_bytes_acked == is.tcpi_bytes_acked)
			break;
	}
	ended = is.tcpi_state == CLOSED && !unacked && whole(fd); /* mtcp.Counters.Ended */
	if (!movable(is.tcpi_state) && !ended)
		return -ENOTCONN;
	/* Both of TCP's totals count a FIN as a byte. */
	received = is.tcpi_bytes_received - (uint64_t)(ended || peer_fin(is.tcpi_state));
	sent = is.tcpi_bytes_acked + (uint64_t)unacked - (uint64_t)(ended || own_fin(is.tcpi_state));
	if (received + 1 == 0 || sent + 1 == 0 || received < (uint64_t)unread)
		return -CBOX_EDAMAGED;
	*read = received - (uint64_t)unread + read_base;
	*written = sent + write_base;
	return 0;
}

static int has_ulp(int fd)
{
	char name[16] = "";
	socklen_t n = sizeof(name);

	if (getsockopt(fd, IPPROTO_TCP, TCP_ULP, name, &n) < 0)
		return errno == ENOPROTOOPT ? 0 : -errno;
	return n > 0 && name[0];
}

/* ENOENT: no such keys here; ENOPROTOOPT: the kernel has none. */
static int has_ao(int fd)
{
	int v;
	socklen_t n = sizeof(v);

	return !(getsockopt(fd, IPPROTO_TCP, AO_INFO, &v, &n) < 0 && (errno == ENOENT || errno == ENOPROTOOPT));
}

/* EINVAL: there is no urgent byte, or it was read. */
static int has_urgent(int fd)
{
	char b;

	return !(recv(fd, &b, 1, MSG_OOB | MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EINVAL || errno == ENOTCONN));
}

/* The place of a socket filter is needed to make the socket deaf. */
static int has_filter(int fd)
{
	struct sock_filter f;
	int locked = 0;
	socklen_t n = sizeof(locked);

	if (getsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &locked, &n) < 0)
		return -errno;
	if (locked)
		return 1;
	n = 0; /* it counts in instructions */
	if (getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, &f, &n) < 0)
		return errno == EACCES ? 1 : -errno; /* an eBPF program */
	return n > 0;
}

/* Why a connection cannot be moved (DECISION 26); MD5 keys are the keeper's to see. */
int conn_check(int fd)
{
	int (*const has[])(int) = { has_ulp, has_ao, has_urgent, has_filter };
	struct tcp_info info;
	int proto = 0, err;
	socklen_t n = sizeof(proto);

	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &proto, &n) < 0)
		return -errno;
	if (proto != IPPROTO_TCP)
		return proto == IPPROTO_MPTCP ? -CBOX_ENOTMOVABLE : -EPROTOTYPE;
	err = tcp_info(fd, &info);
	if (err)
		return err;
	if (!movable(info.tcpi_state))
		return info.tcpi_state == SYN_RECV ? -CBOX_ENOTMOVABLE : -ENOTCONN;
	for (unsigned i = 0; i < sizeof(has) / sizeof(*has); i++) {
		err = has[i](fd);
		if (err)
			return err < 0 ? err : -CBOX_ENOTMOVABLE;
	}
	return 0;
}
