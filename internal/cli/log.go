// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"log/slog"

	"github.com/urfave/cli/v2"
)

// LogFlag is the --log-level of every daemon; env may give it too.
func LogFlag(env string) *cli.StringFlag {
	return &cli.StringFlag{Name: "log-level", Value: "info", EnvVars: []string{env}, Usage: "debug, info, warn or error"}
}

// Logger logs to the command's stderr from the level of LogFlag on.
func Logger(c *cli.Context) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.String("log-level"))); err != nil {
		return nil, Usagef("--log-level: %v", err)
	}
	return slog.New(slog.NewTextHandler(c.App.ErrWriter, &slog.HandlerOptions{Level: level})), nil
}
