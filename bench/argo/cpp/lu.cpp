/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lu.cpp - bench/apps/dsmapps/lu on ArgoDSM: lu SIZE BLOCK FILE. The matrix goes to FILE
 * row by row. Against one that is installed in $ARGO, of commit $COMMIT:
 *
 *	mpicxx -std=c++17 -O2 -ffp-contract=off -Wall -Wextra -DOMPI_SKIP_MPICXX=1 -DARGO_VERSION="\"$COMMIT\"" \
 *		-I../../apps/threads/c -I$ARGO/include/argo -o lu lu.cpp -L$ARGO/lib -Wl,-rpath,$ARGO/lib -largo -largobackend-mpi
 *
 * The time ends, as on our DSM, when node 0 has the whole matrix.
 */
#include "run.h"

#include "lu.h"

static constexpr long spare = 1 << 20; /* bytes, for what ArgoDSM has beside the matrix */

static void barrier() { argo::barrier(); }

static std::vector<double> whole(const lu &m)
{
	std::vector<double> all;

	all.reserve(m.size * m.size);
	for (long i = 0; i < m.size; i++)
		for (long j = 0; j < m.n; j++)
			all.insert(all.end(), lu_row(&m, i, j), lu_row(&m, i, j) + m.block);
	return all;
}

int main(int argc, char **argv)
{
	lu m = {};

	if (argc != 4 || lu_sizes(&m, std::atol(argv[1]), std::atol(argv[2]), 1))
		return 2;
	long bytes = m.size * m.size * sizeof(double) + spare;
	begin(bytes, bytes);
	lu_sizes(&m, m.size, m.block, argo::number_of_nodes());
	m.self = argo::node_id();
	m.blocks = argo::conew_array<double>(m.size * m.size);
	barrier();
	double from = now();
	for (long k = 0; k < m.n; k++)
		lu_step(&m, k, barrier);
	if (m.self == 0) {
		std::vector<double> all = whole(m);
		double took = (now() - from) / 1e6;

		if (!save(all, argv[3])) {
			std::perror(argv[3]);
			return 1;
		}
		tell({{"seconds", took}});
	}
	argo::finalize();
	return 0;
}
