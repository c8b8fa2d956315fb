// SPDX-License-Identifier: Apache-2.0

// Package etcd is where a large fleet of monitors meets (§3.8): each keeps a
// lease there, tells all others what it sees under a key that ends with the
// lease, and claims targets by transactions. What is claimed carries an epoch
// that rises by compare-and-swap on a key's revision.
package etcd

import "errors"

// ErrLost: what was claimed is not this monitor's any more.
var ErrLost = errors.New("the claim in etcd is lost")
