// SPDX-License-Identifier: Apache-2.0

package verbstest

// What SoftRoCE does otherwise than the specification, for Pair.Otherwise: as
// the side that asks (a), and as the side that answers (b).
var (
	RXEAsks = map[string][]string{
		"send lkey=wrong":        localFault,
		"rdma_write lkey=wrong":  localFault,
		"rdma_write lkey=closed": localFault,
		"rdma_write lkey=pd":     localFault,
		"rdma_write lkey=beyond": localFault,
		"rdma_read lkey=wrong":   localFault,
		"rdma_read local=none":   localFault,
		// libibverbs' part of it refuses before the kernel hears of it.
		"atomic_fetch_and_add off=4 len=8": {"a: refused by the post\n"},
		"atomic_cmp_and_swp off=1 len=8":   {"a: refused by the post\n"},
	}
	RXEAnswers = map[string][]string{
		// A receive that is too short looks to it like one that is wrong.
		"send recv=short": {badReceive},
		"send recv=bad":   {badReceive},
	}
)

const badReceive = "a: IBV_WC_REM_OP_ERR\nb: IBV_WC_LOC_QP_OP_ERR\na's qp: ERR\n"

// localFault: a local key is looked at while the request is sent. Linux 6.1
// says that the operation has failed; 6.12 has lost the reason when it flushes.
var localFault = []string{
	"a: IBV_WC_LOC_QP_OP_ERR\na's qp: ERR\n",
	"a: IBV_WC_WR_FLUSH_ERR\na's qp: ERR\n",
}
