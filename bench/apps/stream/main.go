// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintln(stderr, "usage: stream serve|play [flags]")
		return 2
	}
	fs := flag.NewFlagSet("stream "+args[0], flag.ContinueOnError)
	fs.SetOutput(stderr)
	var do func() error
	switch args[0] {
	case "serve":
		do = serveFlags(ctx, fs, stdout)
	case "play":
		do = playFlags(ctx, fs, stdout)
	default:
		fmt.Fprintf(stderr, "stream: unknown command %q\n", args[0])
		return 2
	}
	if err := fs.Parse(args[1:]); err != nil || fs.NArg() > 0 {
		return 2
	}
	if err := do(); err != nil {
		fmt.Fprintf(stderr, "stream: %s: %v\n", args[0], err)
		return 1
	}
	return 0
}

func serveFlags(ctx context.Context, fs *flag.FlagSet, stdout io.Writer) func() error {
	listen := fs.String("listen", ":8000", "address")
	rate := fs.Int("rate", 16000, "bytes per second of each stream (16000: 128 kbit/s)")
	chunk := fs.Int("chunk", 1000, "bytes written at a time")
	return func() error {
		if *rate < 1 || *chunk < 1 {
			return fmt.Errorf("rate %d and chunk %d must be positive", *rate, *chunk)
		}
		var lc net.ListenConfig
		lc.SetMultipathTCP(false)
		l, err := lc.Listen(ctx, "tcp", *listen)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "listening on %s\n", l.Addr())
		return serve(ctx, l, make([]byte, *chunk), interval(*rate, *chunk))
	}
}

func playFlags(ctx context.Context, fs *flag.FlagSet, stdout io.Writer) func() error {
	addr := fs.String("addr", "127.0.0.1:8000", "the server's address")
	streams := fs.Int("streams", 1, "concurrent streams")
	length := fs.Duration("for", 10*time.Second, "how long to play")
	return func() error {
		report, err := play(ctx, *addr, *streams, *length)
		if err != nil {
			return err
		}
		return json.NewEncoder(stdout).Encode(report)
	}
}

// interval is the time between two chunks at rate bytes per second.
func interval(rate, chunk int) time.Duration {
	return time.Duration(float64(chunk) / float64(rate) * float64(time.Second))
}
