//go:build cgo && linux

// SPDX-License-Identifier: Apache-2.0

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "shim.h"

int lz_cm_create_id(struct rdma_event_channel *ch, struct rdma_cm_id **id, uintptr_t uid)
{
	return rdma_create_id(ch, id, (void *)uid, RDMA_PS_TCP);
}

void lz_cm_set_uid(struct rdma_cm_id *id, uintptr_t uid)
{
	id->context = (void *)uid;
}

int lz_cm_next(struct rdma_event_channel *ch, struct lz_cm_event *out)
{
	struct rdma_cm_event *e;
	const struct rdma_conn_param *p;

	if (rdma_get_cm_event(ch, &e))
		return errno;
	memset(out, 0, sizeof(*out));
	out->type = e->event;
	out->status = e->status;
	out->id = e->id;
	out->uid = (uintptr_t)e->id->context;
	p = &e->param.conn;
	out->responder_resources = p->responder_resources;
	out->initiator_depth = p->initiator_depth;
	out->retry_count = p->retry_count;
	out->rnr_retry_count = p->rnr_retry_count;
	if (p->private_data && p->private_data_len) {
		out->private_len = p->private_data_len;
		memcpy(out->private_data, p->private_data, p->private_data_len);
	}
	// All is copied: nobody who destroys an id waits for more than this.
	rdma_ack_cm_event(e);
	return 0;
}

static struct sockaddr *to_sockaddr(const struct lz_addr *a, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	ss->ss_family = a->family;
	if (a->family == AF_INET) {
		struct sockaddr_in *s = (struct sockaddr_in *)ss;

		s->sin_port = htons(a->port);
		memcpy(&s->sin_addr, a->ip, 4);
	} else {
		struct sockaddr_in6 *s = (struct sockaddr_in6 *)ss;

		s->sin6_port = htons(a->port);
		s->sin6_scope_id = a->scope;
		memcpy(&s->sin6_addr, a->ip, 16);
	}
	return (struct sockaddr *)ss;
}

static void from_sockaddr(const struct sockaddr *sa, struct lz_addr *a)
{
	memset(a, 0, sizeof(*a));
	a->family = sa->sa_family;
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *s = (const struct sockaddr_in *)sa;

		a->port = ntohs(s->sin_port);
		memcpy(a->ip, &s->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *s = (const struct sockaddr_in6 *)sa;

		a->port = ntohs(s->sin6_port);
		a->scope = s->sin6_scope_id;
		memcpy(a->ip, &s->sin6_addr, 16);
	}
}

int lz_cm_resolve_addr(struct rdma_cm_id *id, const struct lz_addr *src, const struct lz_addr *dst, int timeout_ms)
{
	struct sockaddr_storage s, d;

	return rdma_resolve_addr(id, src->family ? to_sockaddr(src, &s) : NULL, to_sockaddr(dst, &d), timeout_ms);
}

int lz_cm_bind(struct rdma_cm_id *id, const struct lz_addr *a)
{
	struct sockaddr_storage s;

	return rdma_bind_addr(id, to_sockaddr(a, &s));
}

void lz_cm_addrs(struct rdma_cm_id *id, struct lz_addr *local, struct lz_addr *peer)
{
	from_sockaddr(rdma_get_local_addr(id), local);
	from_sockaddr(rdma_get_peer_addr(id), peer);
}

int lz_cm_ack_timeout(struct rdma_cm_id *id, uint8_t code)
{
	return rdma_set_option(id, RDMA_OPTION_ID, RDMA_OPTION_ID_ACK_TIMEOUT, &code, sizeof(code));
}

const char *lz_cm_device(struct rdma_cm_id *id)
{
	return id->verbs ? ibv_get_device_name(id->verbs->device) : NULL;
}

static struct rdma_conn_param conn_param(const struct lz_cm_param *p)
{
	return (struct rdma_conn_param){
		.private_data = p->private_data,
		.private_data_len = p->private_len,
		.responder_resources = p->responder_resources,
		.initiator_depth = p->initiator_depth,
		.flow_control = 1,
		.retry_count = p->retry_count,
		.rnr_retry_count = p->rnr_retry_count,
		.srq = p->srq,
		.qp_num = p->qp_num,
	};
}

int lz_cm_connect(struct rdma_cm_id *id, const struct lz_cm_param *p)
{
	struct rdma_conn_param c = conn_param(p);

	return rdma_connect(id, &c);
}

int lz_cm_accept(struct rdma_cm_id *id, const struct lz_cm_param *p)
{
	struct rdma_conn_param c = conn_param(p);

	return rdma_accept(id, &c);
}
