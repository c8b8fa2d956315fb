// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"lazystate/tools/lab/wire"
)

// stageVar marks the second execution of init, whose threads all have the
// scheduling class the first one took: the Go runtime starts threads before
// main, and a class is only inherited by later ones.
const stageVar = "LAZYSTATE_INIT_STAGE"

func main() {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "spawn":
		spawnMain(os.Args[2])
	case os.Getpid() != 1:
		fmt.Fprintln(os.Stderr, "guestinit: only the kernel starts this program, as process 1")
		os.Exit(2)
	case os.Getenv(stageVar) == "":
		firstStage()
	default:
		secondStage()
	}
}

func firstStage() {
	runtime.LockOSThread() // the class is the thread's, and exec keeps that of its caller
	if err := setFIFO(initPriority); err != nil {
		complain("scheduling class", err)
	}
	env := append(os.Environ(), stageVar+"=2")
	complain("exec of the second stage", syscall.Exec("/init", []string{"/init"}, env))
}

func secondStage() {
	// Its threads give a CPU to each other only when they block. Two that run Go, on
	// one CPU since the other was taken out: the one waits, busily, for the other.
	runtime.GOMAXPROCS(1)
	setup, err := readSetup()
	bootErr := configure(setup, err)
	harden()
	port, err := openPort(30 * time.Second)
	if err != nil {
		complain("command channel", err)
		select {} // the console is all that is left; process 1 must not end
	}
	children := newReaper()
	go children.console("/dev/ttyS0", setup.Login)
	s := newServer(port, children)
	s.hello(bootErr)
	complain("command channel", s.serve())
	select {}
}

func readSetup() (wire.Setup, error) {
	var s wire.Setup
	b, err := os.ReadFile("/etc/lab.json")
	if err != nil {
		return s, err
	}
	err = json.Unmarshal(b, &s)
	return s, err
}

// complain writes to the kernel log: with the console it is all a guest has
// before the command channel is open.
func complain(what string, err error) {
	if f, e := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); e == nil {
		fmt.Fprintf(f, "<3>guestinit: %s: %v\n", what, err)
		f.Close()
		return
	}
	fmt.Printf("guestinit: %s: %v\n", what, err)
}
