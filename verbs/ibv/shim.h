// SPDX-License-Identifier: Apache-2.0

// What Go cannot say about libibverbs: function-like macros, unions, and many
// work requests or completions in one crossing. Nothing here keeps state.
#ifndef LAZYSTATE_VERBS_IBV_SHIM_H
#define LAZYSTATE_VERBS_IBV_SHIM_H

#include <stdint.h>

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

// struct lz_send_wr is driver.SendWR without slices and without unions. The
// pointers are C's own.
struct lz_send_wr {
	uint64_t wr_id;
	uint64_t remote_addr;
	uint64_t compare_add;
	uint64_t swap;
	uint32_t opcode;
	uint32_t flags;
	uint32_t rkey;
	uint32_t imm; // host order; or the key to invalidate
	uint32_t num_sge;
	uint32_t remote_qpn;
	uint32_t remote_qkey;
	uint32_t bind_rkey;
	uint64_t bind_addr;
	uint64_t bind_length;
	uint32_t bind_access;
	struct ibv_ah *ah;
	struct ibv_mw *mw;
	struct ibv_mr *mr;
};

// struct lz_recv_wr is driver.RecvWR.
struct lz_recv_wr {
	uint64_t wr_id;
	uint32_t num_sge;
};

// struct lz_wc is driver.WC, byte for byte.
struct lz_wc {
	uint64_t wr_id;
	uint8_t status;
	uint8_t opcode;
	uint8_t flags;
	uint32_t byte_len;
	uint32_t imm; // host order; or the key that was invalidated
	uint32_t qp_num;
	uint32_t src_qp;
	uint32_t vendor_err;
};

// The posts return an errno, 0 if all were posted; *done is how many were. sge
// holds the scatter lists one after the other, wr is room for n.
int lz_post_send(struct ibv_qp *qp, struct lz_send_wr *flat, int n, struct ibv_sge *sge, struct ibv_send_wr *wr, int *done);
int lz_post_recv(struct ibv_qp *qp, struct lz_recv_wr *flat, int n, struct ibv_sge *sge, struct ibv_recv_wr *wr, int *done);
int lz_post_srq_recv(struct ibv_srq *srq, struct lz_recv_wr *flat, int n, struct ibv_sge *sge, struct ibv_recv_wr *wr, int *done);

// lz_poll_cq returns how many completions it took, -1 on error. rxe says that
// the device is SoftRoCE: its completions have the kernel's flags, where bit 2
// is IB_WC_WITH_INVALIDATE; in libibverbs it is IBV_WC_IP_CSUM_OK.
int lz_poll_cq(struct ibv_cq *cq, struct lz_wc *out, int n, int rxe);

int lz_query_port(struct ibv_context *ctx, uint8_t port, struct ibv_port_attr *attr);
struct ibv_mr *lz_reg_mr(struct ibv_pd *pd, void *addr, size_t length, uint64_t iova, unsigned int access);

// lz_create_* put the handle where events bring it back.
struct ibv_cq *lz_create_cq(struct ibv_context *ctx, int cqe, uintptr_t handle, struct ibv_comp_channel *ch);
struct ibv_qp *lz_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *attr, struct ibv_cq *send, struct ibv_cq *recv,
			    struct ibv_srq *srq, uintptr_t handle);
struct ibv_srq *lz_create_srq(struct ibv_pd *pd, uint32_t max_wr, uint32_t max_sge, uintptr_t handle);

// lz_next_cq takes and acknowledges one event of a channel; returns errno.
int lz_next_cq(struct ibv_comp_channel *ch, uintptr_t *handle);

struct lz_async_event {
	int type;
	uintptr_t handle; // of the QP, CQ or SRQ
	int port;
};

// lz_next_async takes and acknowledges one asynchronous event; returns errno.
int lz_next_async(struct ibv_context *ctx, struct lz_async_event *ev);

struct lz_cm_event {
	int type;
	int status;
	uintptr_t uid;         // of the id, or of the listener for a request
	struct rdma_cm_id *id; // of a request: the new one
	uint8_t responder_resources;
	uint8_t initiator_depth;
	uint8_t retry_count;
	uint8_t rnr_retry_count;
	uint8_t private_len;
	uint8_t private_data[256];
};

int lz_cm_create_id(struct rdma_event_channel *ch, struct rdma_cm_id **id, uintptr_t uid);
void lz_cm_set_uid(struct rdma_cm_id *id, uintptr_t uid);
// lz_cm_next takes and acknowledges one event of a channel; returns errno.
int lz_cm_next(struct rdma_event_channel *ch, struct lz_cm_event *out);
// The addresses are in network order: family, port and 16 bytes.
struct lz_addr {
	uint16_t family;
	uint16_t port; // host order
	uint8_t ip[16];
	uint32_t scope;
};
int lz_cm_resolve_addr(struct rdma_cm_id *id, const struct lz_addr *src, const struct lz_addr *dst, int timeout_ms);
int lz_cm_bind(struct rdma_cm_id *id, const struct lz_addr *a);
void lz_cm_addrs(struct rdma_cm_id *id, struct lz_addr *local, struct lz_addr *peer);
int lz_cm_ack_timeout(struct rdma_cm_id *id, uint8_t code);
const char *lz_cm_device(struct rdma_cm_id *id);

// lz_cm_param is struct rdma_conn_param with the private data in it.
struct lz_cm_param {
	uint8_t private_data[256];
	uint8_t private_len;
	uint8_t responder_resources;
	uint8_t initiator_depth;
	uint8_t retry_count;
	uint8_t rnr_retry_count;
	uint8_t srq;
	uint32_t qp_num;
};
int lz_cm_connect(struct rdma_cm_id *id, const struct lz_cm_param *p);
int lz_cm_accept(struct rdma_cm_id *id, const struct lz_cm_param *p);

#endif
