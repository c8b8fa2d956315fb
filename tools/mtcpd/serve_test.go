// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	ucli "github.com/urfave/cli/v2"
)

// A daemon whose agent has ended by an error ends with it, so that another one is started:
// it does not go on answering for an agent that is not there.
func TestServeEndsWithItsAgent(t *testing.T) {
	dead := errors.New("the agent is dead")
	app := &ucli.App{
		Flags: []ucli.Flag{&ucli.StringFlag{Name: "socket"}, &ucli.StringFlag{Name: "group"}},
		Action: func(c *ucli.Context) error {
			return serve(c, nil, nil, func(context.Context) error { return dead }, slog.New(slog.DiscardHandler))
		},
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Run([]string{"mtcpd", "--socket", filepath.Join(t.TempDir(), "sock")}) }()
	select {
	case err := <-ended:
		if !errors.Is(err, dead) {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
}
