// SPDX-License-Identifier: Apache-2.0

//go:build race

package ibv_test

// maxSize: the race detector on an emulated processor takes minutes for more.
const maxSize = 1 << 20
