// SPDX-License-Identifier: Apache-2.0

package main

import (
	"lazystate/bench/apps/threads"
	"lazystate/bench/beside"
)

func main() { beside.New(threads.LU(2), 0).Exit() }
