// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
)

func (r *runner) hang(ctx context.Context, stdout io.Writer) error { return errors.New("hang") }
