// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	var w work
	fs := flag.NewFlagSet("reads", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&w.device, "device", "ibv:rxe0", "URL of the device")
	listen := fs.String("listen", "", "address and port to serve at")
	dial := fs.String("dial", "", "address and port of a server")
	fs.IntVar(&w.size, "size", 64, "bytes of a READ")
	fs.IntVar(&w.iters, "iters", 1000, "how many READs")
	fs.IntVar(&w.depth, "depth", 1, "how many at once")
	fs.IntVar(&w.batch, "batch", 1, "how many a post")
	fs.IntVar(&w.every, "every", 1, "every n-th READ completes visibly")
	if err := fs.Parse(args); err != nil || fs.NArg() > 0 || w.check() != nil || (*listen == "") == (*dial == "") {
		return 2
	}
	var err error
	if *listen != "" {
		err = w.serve(ctx, *listen)
	} else {
		var r *report
		if r, err = w.dial(ctx, *dial); err == nil {
			err = json.NewEncoder(stdout).Encode(r)
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "reads: %v\n", err)
		return 1
	}
	return 0
}
