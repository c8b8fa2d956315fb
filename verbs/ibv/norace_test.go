// SPDX-License-Identifier: Apache-2.0

//go:build !race

package ibv_test

// maxSize of messages: all of the suite's.
const maxSize = 0
