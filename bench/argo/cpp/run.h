/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - what programs on ArgoDSM have in common here: their begin, and the line of
 * JSON that bench/argo reads. What else they print it passes over.
 */
#ifndef ARGO_RUN_H
#define ARGO_RUN_H

#include <mpi.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "argo.hpp"

#ifndef ARGO_VERSION
#error "which ArgoDSM? it does not say itself: -DARGO_VERSION='\"COMMIT\"'"
#endif

/* begin joins the others; nothing of ArgoDSM may be used before. */
static inline void begin(std::size_t memory, std::size_t cache)
{
	setenv("ARGO_PRINT_STATISTICS", "0", 0);
	argo::init(memory, cache);
}

/* now is in microseconds, of this process. */
static inline double now()
{
	std::chrono::duration<double, std::micro> t = std::chrono::steady_clock::now().time_since_epoch();

	return t.count();
}

/* mpi is the library's name and version: what it says up to the first comma. */
static inline std::string mpi()
{
	char text[MPI_MAX_LIBRARY_VERSION_STRING];
	int length;

	MPI_Get_library_version(text, &length);
	std::string name(text, length);
	return name.substr(0, name.find_first_of(",\n\"\\"));
}

/* save puts numbers into a file as they lie in memory. */
static inline bool save(const std::vector<double> &numbers, const char *path)
{
	FILE *f = std::fopen(path, "w");

	if (!f)
		return false;
	bool whole = std::fwrite(numbers.data(), sizeof(double), numbers.size(), f) == numbers.size();
	return std::fclose(f) == 0 && whole;
}

/* tell writes the line, in one piece. */
static inline void tell(const std::vector<std::pair<std::string, double>> &figures)
{
	std::string line = "{\"version\":\"" ARGO_VERSION ", " + mpi() + "\",\"nodes\":" + std::to_string(argo::number_of_nodes()) + ",\"figures\":{";

	for (const auto &f : figures) {
		if (&f != &figures.front())
			line += ",";
		line += "\"" + f.first + "\":" + std::to_string(f.second);
	}
	std::printf("%s}}\n", line.c_str());
	std::fflush(stdout);
}

#endif
