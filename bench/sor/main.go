// SPDX-License-Identifier: Apache-2.0

package main

import (
	"lazystate/bench/apps/threads"
	"lazystate/bench/beside"
)

// mostOfThreads is what our DSM is to take, of what threads take: this project's bound.
const mostOfThreads = 2

func main() { beside.New(threads.SOR(200, 2), mostOfThreads).Exit() }
