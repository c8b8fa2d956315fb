// SPDX-License-Identifier: GPL-2.0
/*
 * peer.c - a monitor's side of RDMA that shares no code with ours: librdmacm and
 * libibverbs, driven by lines on standard input, one answer a line.
 *
 *   dial HOST PORT HELLO   CONN and the private data of the answer, in hex
 *   read CONN ADDR KEY LEN    data, or the status of the completion
 *   write CONN ADDR KEY HEX
 *   add CONN ADDR KEY VALUE   fetch and add
 *   burst CONN ADDR KEY LEN N   N reads, each waited for: the slowest in us
 *   close CONN
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#define CONNS 32
#define MOST (1 << 20)
#define PATIENCE_MS 20000

static struct conn {
	struct rdma_event_channel *ch;
	struct rdma_cm_id *id;
	struct ibv_cq *cq;
	struct ibv_mr *mr;
	unsigned char *buf;
} conns[CONNS];

static void say(const char *what, const void *data, size_t len)
{
	const unsigned char *p = data;

	printf("%s ", what);
	for (size_t i = 0; i < len; i++)
		printf("%02x", p[i]);
	printf("\n");
	fflush(stdout);
}

static void fail(const char *what, int err)
{
	printf("error %s: %s\n", what, strerror(err));
	fflush(stdout);
}

static size_t unhex(const char *hex, unsigned char *out, size_t room)
{
	size_t n = strlen(hex) / 2;

	if (n > room)
		n = room;
	for (size_t i = 0; i < n; i++) {
		char two[3] = { hex[2 * i], hex[2 * i + 1] };

		out[i] = strtoul(two, NULL, 16);
	}
	return n;
}

/* The next event; NULL after PATIENCE_MS. */
static struct rdma_cm_event *next(struct conn *c)
{
	struct pollfd p = { .fd = c->ch->fd, .events = POLLIN };
	struct rdma_cm_event *ev;

	if (poll(&p, 1, PATIENCE_MS) <= 0 || rdma_get_cm_event(c->ch, &ev))
		return NULL;
	return ev;
}

static int expect(struct conn *c, enum rdma_cm_event_type want, const char *what)
{
	struct rdma_cm_event *ev = next(c);
	int ok = ev && ev->event == want;

	if (!ev)
		printf("error %s: no event\n", what);
	else if (!ok)
		printf("error %s: %s %d\n", what, rdma_event_str(ev->event), ev->status);
	fflush(stdout);
	if (ev)
		rdma_ack_cm_event(ev);
	return ok;
}

static void release(struct conn *c)
{
	if (c->id && c->id->qp)
		rdma_destroy_qp(c->id);
	if (c->mr)
		ibv_dereg_mr(c->mr);
	if (c->cq)
		ibv_destroy_cq(c->cq);
	if (c->id)
		rdma_destroy_id(c->id);
	if (c->ch)
		rdma_destroy_event_channel(c->ch);
	free(c->buf);
	memset(c, 0, sizeof(*c));
}

static int resources(struct conn *c)
{
	struct ibv_qp_init_attr a = {
		.cap = { .max_send_wr = 16, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1 },
		.qp_type = IBV_QPT_RC, .sq_sig_all = 1,
	};

	c->buf = calloc(1, MOST);
	c->cq = ibv_create_cq(c->id->verbs, 32, NULL, NULL, 0);
	if (!c->cq || !c->buf)
		return -1;
	a.send_cq = a.recv_cq = c->cq;
	if (rdma_create_qp(c->id, NULL, &a))
		return -1;
	c->mr = ibv_reg_mr(c->id->pd, c->buf, MOST, IBV_ACCESS_LOCAL_WRITE);
	return c->mr ? 0 : -1;
}

static int route(struct conn *c, const char *host, const char *port)
{
	struct addrinfo *ai, hint = { .ai_socktype = SOCK_STREAM };
	uint8_t timeout = 16;	/* 268 ms: a busy host may not run the target for half a second; the default is 2.1 s */

	if (getaddrinfo(host, port, &hint, &ai))
		return -1;
	c->ch = rdma_create_event_channel();
	if (!c->ch || rdma_create_id(c->ch, &c->id, NULL, RDMA_PS_TCP))
		return -1;
	rdma_set_option(c->id, RDMA_OPTION_ID, RDMA_OPTION_ID_ACK_TIMEOUT, &timeout, sizeof(timeout));
	if (rdma_resolve_addr(c->id, NULL, ai->ai_addr, 2000))
		return -1;
	freeaddrinfo(ai);
	if (!expect(c, RDMA_CM_EVENT_ADDR_RESOLVED, "address"))
		return 1;
	if (rdma_resolve_route(c->id, 2000))
		return -1;
	return expect(c, RDMA_CM_EVENT_ROUTE_RESOLVED, "route") ? 0 : 1;
}

static void dial(char *host, char *port, char *hello)
{
	unsigned char text[64];
	struct rdma_conn_param p = { .responder_resources = 1, .initiator_depth = 16, .retry_count = 6, .rnr_retry_count = 6 };	/* to rxe 7 is for ever */
	struct rdma_cm_event *ev;
	char what[32];
	int i, err;

	for (i = 0; i < CONNS && conns[i].id; i++)
		;
	if (i == CONNS) {
		fail("dial", ENFILE);
		return;
	}
	struct conn *c = &conns[i];

	p.private_data_len = unhex(hello, text, sizeof(text));
	p.private_data = text;
	err = route(c, host, port);
	if (!err && (resources(c) || rdma_connect(c->id, &p)))
		err = -1;
	if (err) {
		if (err < 0)
			fail("dial", errno);
		release(c);
		return;
	}
	ev = next(c);
	if (!ev) {
		fail("dial", ETIMEDOUT);
		release(c);
		return;
	}
	snprintf(what, sizeof(what), "%d", i);
	if (ev->event == RDMA_CM_EVENT_ESTABLISHED) {
		say(what, ev->param.conn.private_data, ev->param.conn.private_data_len);
		rdma_ack_cm_event(ev);
		return;
	}
	if (ev->event == RDMA_CM_EVENT_REJECTED)
		say("rejected", ev->param.conn.private_data, ev->param.conn.private_data_len);
	else
		printf("error dial: %s %d\n", rdma_event_str(ev->event), ev->status);
	fflush(stdout);
	rdma_ack_cm_event(ev);
	release(c);
}

/* One operation; its completion's status, or -1. */
static int perform(struct conn *c, struct ibv_send_wr *wr, unsigned int len)
{
	struct ibv_sge sge = { .addr = (uintptr_t)c->buf, .length = len, .lkey = c->mr->lkey };
	struct ibv_send_wr *bad;
	struct timespec a, b;
	struct ibv_wc wc;

	wr->sg_list = &sge;
	wr->num_sge = 1;
	wr->send_flags = IBV_SEND_SIGNALED;
	if (ibv_post_send(c->id->qp, wr, &bad))
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (;;) {
		int n = ibv_poll_cq(c->cq, 1, &wc);

		if (n)
			return n < 0 ? -1 : (int)wc.status;
		clock_gettime(CLOCK_MONOTONIC, &b);
		if ((b.tv_sec - a.tv_sec) * 1000 > PATIENCE_MS)
			return -1;
		nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
	}
}

static struct conn *conn_of(int i)
{
	return i >= 0 && i < CONNS && conns[i].id ? &conns[i] : NULL;
}

static void answer(struct conn *c, int status, const void *data, size_t len)
{
	(void)c;
	if (status)
		printf("status %d\n", status);
	else
		say("ok", data, len);
	fflush(stdout);
}

static void burst(struct conn *c, struct ibv_send_wr *wr, unsigned int len, int n)
{
	long worst = 0, took;
	struct timespec a, b;

	for (int i = 0; i < n; i++) {
		clock_gettime(CLOCK_MONOTONIC, &a);
		int status = perform(c, wr, len);

		clock_gettime(CLOCK_MONOTONIC, &b);
		if (status) {
			answer(c, status, NULL, 0);
			return;
		}
		took = (b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000;
		if (took > worst)
			worst = took;
	}
	printf("slowest %ld\n", worst);
	fflush(stdout);
}

static void operate(char *line)
{
	static char verb[16], arg[2 * MOST + 1];
	struct ibv_send_wr wr = {};
	unsigned long long addr;
	unsigned int key, n = 1;
	struct conn *c;
	int i, got;

	got = sscanf(line, "%15s %d %llx %x %s %u", verb, &i, &addr, &key, arg, &n);
	c = got >= 5 ? conn_of(i) : NULL;
	if (!c) {
		fail(verb, EINVAL);
		return;
	}
	wr.wr.rdma.remote_addr = addr;
	wr.wr.rdma.rkey = key;
	if (!strcmp(verb, "write")) {
		size_t len = unhex(arg, c->buf, MOST);

		wr.opcode = IBV_WR_RDMA_WRITE;
		answer(c, perform(c, &wr, len), NULL, 0);
	} else if (!strcmp(verb, "add")) {
		wr.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD;
		wr.wr.atomic.remote_addr = addr;
		wr.wr.atomic.rkey = key;
		wr.wr.atomic.compare_add = strtoull(arg, NULL, 0);
		answer(c, perform(c, &wr, 8), c->buf, 8);
	} else {
		unsigned int len = strtoul(arg, NULL, 0);

		if (len > MOST) {
			fail(verb, EINVAL);
			return;
		}
		wr.opcode = IBV_WR_RDMA_READ;
		if (!strcmp(verb, "burst"))
			burst(c, &wr, len, n);
		else
			answer(c, perform(c, &wr, len), c->buf, len);
	}
}

int main(void)
{
	static char line[3 * MOST];
	char host[64], port[16], hello[256];
	int i;

	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		hello[0] = 0;
		if (sscanf(line, "dial %63s %15s %255s", host, port, hello) >= 2) {
			dial(host, port, hello);
		} else if (sscanf(line, "close %d", &i) == 1 && conn_of(i)) {
			rdma_disconnect(conns[i].id);
			release(&conns[i]);
			say("ok", NULL, 0);
		} else {
			operate(line);
		}
	}
	return 0;
}
