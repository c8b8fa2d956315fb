// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(ownerEnv); name != "" {
		os.Exit(ownVM(name))
	}
	os.Exit(Main(m, 2))
}
