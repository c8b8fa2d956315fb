// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"os"
	"testing"

	"lazystate/examples/outcome/pgtest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	pgtest.End()
	os.Exit(code)
}
