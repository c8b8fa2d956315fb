// SPDX-License-Identifier: Apache-2.0

package config

import "lazystate/internal/confile"

// at says where in the file err is.
func at(path string, err error) error { return confile.At(path, err) }
