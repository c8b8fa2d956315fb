//go:build cgo && linux

// SPDX-License-Identifier: Apache-2.0

#include <errno.h>
#include <string.h>

#include "shim.h"

int lz_query_port(struct ibv_context *ctx, uint8_t port, struct ibv_port_attr *attr)
{
	return ibv_query_port(ctx, port, attr);
}

struct ibv_mr *lz_reg_mr(struct ibv_pd *pd, void *addr, size_t length, uint64_t iova, unsigned int access)
{
	return ibv_reg_mr_iova(pd, addr, length, iova, access);
}

struct ibv_cq *lz_create_cq(struct ibv_context *ctx, int cqe, uintptr_t handle, struct ibv_comp_channel *ch)
{
	return ibv_create_cq(ctx, cqe, (void *)handle, ch, 0);
}

struct ibv_qp *lz_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *attr, struct ibv_cq *send, struct ibv_cq *recv,
			    struct ibv_srq *srq, uintptr_t handle)
{
	struct ibv_qp_init_attr a = *attr; // attr is Go memory: a handle is no pointer there

	a.qp_context = (void *)handle;
	a.send_cq = send;
	a.recv_cq = recv;
	a.srq = srq;
	struct ibv_qp *qp = ibv_create_qp(pd, &a);
	attr->cap = a.cap;
	return qp;
}

struct ibv_srq *lz_create_srq(struct ibv_pd *pd, uint32_t max_wr, uint32_t max_sge, uintptr_t handle)
{
	struct ibv_srq_init_attr attr = {
		.srq_context = (void *)handle,
		.attr = { .max_wr = max_wr, .max_sge = max_sge },
	};
	return ibv_create_srq(pd, &attr);
}

int lz_next_cq(struct ibv_comp_channel *ch, uintptr_t *handle)
{
	struct ibv_cq *cq;
	void *context;

	if (ibv_get_cq_event(ch, &cq, &context))
		return errno;
	ibv_ack_cq_events(cq, 1);
	*handle = (uintptr_t)context;
	return 0;
}

int lz_next_async(struct ibv_context *ctx, struct lz_async_event *ev)
{
	struct ibv_async_event e;

	if (ibv_get_async_event(ctx, &e))
		return errno;
	ev->type = e.event_type;
	ev->handle = 0;
	ev->port = 0;
	switch (e.event_type) {
	case IBV_EVENT_CQ_ERR:
		ev->handle = (uintptr_t)e.element.cq->cq_context;
		break;
	case IBV_EVENT_QP_FATAL:
	case IBV_EVENT_QP_REQ_ERR:
	case IBV_EVENT_QP_ACCESS_ERR:
	case IBV_EVENT_COMM_EST:
	case IBV_EVENT_SQ_DRAINED:
	case IBV_EVENT_PATH_MIG:
	case IBV_EVENT_PATH_MIG_ERR:
	case IBV_EVENT_QP_LAST_WQE_REACHED:
		ev->handle = (uintptr_t)e.element.qp->qp_context;
		break;
	case IBV_EVENT_SRQ_ERR:
	case IBV_EVENT_SRQ_LIMIT_REACHED:
		ev->handle = (uintptr_t)e.element.srq->srq_context;
		break;
	case IBV_EVENT_WQ_FATAL:
	case IBV_EVENT_DEVICE_FATAL:
		break;
	default:
		ev->port = e.element.port_num;
	}
	ibv_ack_async_event(&e);
	return 0;
}
