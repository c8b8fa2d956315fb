/* SPDX-License-Identifier: Apache-2.0 */
/*
 * micro.cpp - bench/dsmmicro's operations on ArgoDSM, on two processes. Against one that
 * is installed in $ARGO, of commit $COMMIT:
 *
 *	mpicxx -std=c++17 -O2 -Wall -Wextra -DOMPI_SKIP_MPICXX=1 -DARGO_VERSION="\"$COMMIT\"" -I$ARGO/include/argo \
 *		-o micro micro.cpp -L$ARGO/lib -Wl,-rpath,$ARGO/lib -largo -largobackend-mpi
 *
 * Steps and counts are those of bench/dsmmicro/program.go. Where ArgoDSM has a choice it
 * is given the better one: all memory is at node 0 (its policy "naive", whose barriers and
 * locks are the fastest), which measures the lock that nobody else wants; node 1 measures
 * all else. The write buffer holds all pages, so that the release has them to write back
 * and no upgrade does. Cache and memory are no larger than the array, for a barrier looks
 * at each page of the cache.
 */
#include <algorithm>
#include <cstdint>

#include "run.h"

static constexpr long page_size = 4096, words = page_size / 8;
static constexpr long pages = 2048, stride = 389, times = 1000, many_times = 20000;
static constexpr long rest = 64; /* pages, for what is beside the array */

using lock_type = argo::globallock::global_tas_lock;

/* mean is of all calls together. */
template <typename F> static double mean(long count, F f)
{
	double from = now();

	for (long i = 0; i < count; i++)
		f(i);
	return (now() - from) / count;
}

/* each is the median of one call. */
template <typename F> static double each(long count, F f)
{
	std::vector<double> took(count);

	for (long i = 0; i < count; i++) {
		double from = now();

		f(i);
		took[i] = now() - from;
	}
	std::sort(took.begin(), took.end());
	return (took[count / 2] + took[(count - 1) / 2]) / 2;
}

/* shared is what both nodes see. */
struct shared {
	volatile std::uint64_t *mem;
	double *got; /* node 1's figures, for node 0 to tell */
	lock_type *mine, *everybodys;
};

enum { miss, in_order, upgrade, release, barrier, contended, sum, figures };

static lock_type *new_lock()
{
	return new lock_type(argo::conew_<lock_type::internal_field_type>());
}

static shared set_up()
{
	shared s;
	auto raw = reinterpret_cast<std::uintptr_t>(argo::conew_array<char>((pages + 1) * page_size));

	s.mem = reinterpret_cast<std::uint64_t *>((raw + page_size - 1) / page_size * page_size);
	s.got = argo::conew_array<double>(figures);
	s.mine = new_lock();
	s.everybodys = new_lock();
	return s;
}

/* at_home is true if all pages are node 0's. */
static bool at_home(const shared &s)
{
	for (long p = 0; p < pages; p++)
		if (argo::get_homenode(const_cast<std::uint64_t *>(s.mem + p * words)) != 0)
			return false;
	return true;
}

static void access(const shared &s, double *got)
{
	std::uint64_t all = 0;

	got[miss] = each(pages / 2, [&](long i) { all += s.mem[i * stride % (pages / 2) * words]; });
	got[in_order] = mean(pages / 2, [&](long i) { all += s.mem[(pages / 2 + i) * words]; });
	got[upgrade] = each(pages, [&](long p) { s.mem[p * words] = s.mem[p * words] + 1; });
	got[release] = each(1, [](long) { argo::barrier(); });
	got[sum] = all;
}

static double fight(const shared &s)
{
	return mean(times, [&](long) {
		s.everybodys->lock();
		s.mem[0] = s.mem[0] + 1;
		s.everybodys->unlock();
	});
}

int main()
{
	double got[figures] = {}, cached = 0;

	setenv("ARGO_WRITE_BUFFER_SIZE", "4096", 0);
	begin(2 * (pages + rest) * page_size, (pages + rest) * page_size);
	shared s = set_up();
	bool first = argo::node_id() == 0;
	if (argo::number_of_nodes() != 2 || !at_home(s)) {
		std::fprintf(stderr, "micro: two nodes are wanted, and the policy \"naive\"\n");
		return 2;
	}
	for (long p = 0; first && p < pages; p++)
		s.mem[p * words] = p;
	argo::barrier();
	if (first)
		argo::barrier();
	else
		access(s, got);
	got[barrier] = each(times, [](long) { argo::barrier(); });
	if (first) {
		s.mine->lock();
		s.mine->unlock();
		cached = mean(many_times, [&](long) { s.mine->lock(); s.mine->unlock(); });
	}
	argo::barrier();
	got[contended] = fight(s);
	if (!first)
		std::copy(got, got + figures, s.got);
	argo::barrier();
	if (s.mem[0] != 1 + 2 * times) {
		std::fprintf(stderr, "micro: %lu increments, not %ld\n", static_cast<unsigned long>(s.mem[0]), 1 + 2 * times);
		return 1;
	}
	if (first)
		tell({{"read miss", s.got[miss]}, {"read, in order", s.got[in_order]}, {"write upgrade", s.got[upgrade]},
		      {"release of 2,048 pages", s.got[release]}, {"barrier", s.got[barrier]}, {"lock, cached", cached},
		      {"lock, contended", s.got[contended]}, {"sum", s.got[sum]}});
	argo::finalize();
	return 0;
}
