/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sor.cpp - bench/apps/dsmapps/sor on ArgoDSM: sor SIZE ITERATIONS FILE. The points go to
 * FILE as they lie in memory. Against one that is installed in $ARGO, of commit $COMMIT:
 *
 *	mpicxx -std=c++17 -O2 -ffp-contract=off -Wall -Wextra -DOMPI_SKIP_MPICXX=1 -DARGO_VERSION="\"$COMMIT\"" \
 *		-I$ARGO/include/argo -o sor sor.cpp -L$ARGO/lib -Wl,-rpath,$ARGO/lib -largo -largobackend-mpi
 *
 * Memory is no larger than the grid, so that by the policy "naive" most rows lie at the
 * node that computes them. The time ends, as on our DSM, when node 0 has all points.
 */
#include <algorithm>

#include "run.h"

static constexpr double omega = 0.8;
static constexpr long spare = 1 << 20; /* bytes, for what ArgoDSM has beside the grid */

struct grid {
	long size;
	double *points;

	double *row(long y) const { return points + y * size; }

	/* heat is the boundary's, and cold inside. */
	void heat(long y) const
	{
		for (long x = 0; x < size; x++)
			row(y)[x] = y == 0 || x == 0;
	}

	void relax(long y, int colour) const
	{
		const double *up = row(y - 1), *down = row(y + 1);
		double *r = row(y);

		for (long x = 1 + (y + 1 + colour) % 2; x < size - 1; x += 2)
			r[x] += omega * (0.25 * (up[x] + down[x] + r[x - 1] + r[x + 1]) - r[x]);
	}
};

static void compute(const grid &g, long iterations)
{
	long nodes = argo::number_of_nodes(), id = argo::node_id();
	long from = g.size * id / nodes, to = g.size * (id + 1) / nodes;

	for (long y = from; y < to; y++)
		g.heat(y);
	argo::barrier();
	for (long k = 0; k < iterations; k++) {
		for (int colour = 0; colour < 2; colour++) {
			for (long y = std::max(from, 1L); y < std::min(to, g.size - 1); y++)
				g.relax(y, colour);
			argo::barrier();
		}
	}
}

int main(int argc, char **argv)
{
	grid g = {argc == 4 ? std::atol(argv[1]) : 0, nullptr};
	long iterations = argc == 4 ? std::atol(argv[2]) : 0, points = g.size * g.size;

	if (g.size < 3 || iterations < 1)
		return 2;
	begin(points * sizeof(double) + spare, points * sizeof(double) + spare);
	g.points = argo::conew_array<double>(points);
	argo::barrier();
	double from = now();
	compute(g, iterations);
	if (argo::node_id() == 0) {
		std::vector<double> all(g.points, g.points + points);
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
