// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"lazystate/internal/leash"
	"lazystate/mtcp/keeper/keepertest"
)

// cluster is a PostgreSQL of the tests' own, begun when the first one asks.
var cluster struct {
	sync.Mutex
	dir  string // of its data and of its socket
	cmd  *exec.Cmd
	wait func() error
}

var databases atomic.Int32

// postgres returns what connects to a fresh database with some stock.
func postgres(t *testing.T) (dsn string) {
	t.Helper()
	cluster.Lock()
	defer cluster.Unlock()
	if cluster.cmd == nil {
		initCluster(t)
		startCluster(t)
	}
	name := fmt.Sprintf("shop%d", databases.Add(1))
	run1(t, adminDSN(), "CREATE DATABASE "+name)
	dsn = fmt.Sprintf("host=%s user=shop dbname=%s", cluster.dir, name)
	run1(t, dsn, schema)
	run1(t, dsn, "INSERT INTO item VALUES ('pen', 120, 1000), ('ink', 950, 5)")
	return dsn
}

func adminDSN() string { return fmt.Sprintf("host=%s user=shop dbname=postgres", cluster.dir) }

// program finds one of Debian's, which are in no PATH.
func program(t *testing.T, name string) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) == 0 {
		t.Fatalf("no %s: tools/bootstrap.sh installs PostgreSQL", name)
	}
	return found[len(found)-1]
}

// asPostgres: it refuses to be run by root.
func asPostgres(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	cmd.Dir = "/"
	if os.Getuid() != 0 {
		return cmd
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(cluster.dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return cmd
}

func initCluster(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "shop")
	if err != nil {
		t.Fatal(err)
	}
	cluster.dir = dir
	out, err := asPostgres(t, exec.Command(program(t, "initdb"), "-A", "trust", "-U", "shop", "-N", "-D", filepath.Join(dir, "data"))).CombinedOutput()
	if err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
}

func startCluster(t *testing.T) {
	t.Helper()
	cmd := asPostgres(t, exec.Command(program(t, "postgres"), "-D", filepath.Join(cluster.dir, "data"),
		"-c", "listen_addresses=", "-c", "unix_socket_directories="+cluster.dir, "-c", "fsync=off", "-c", "autovacuum=off", "-c", "log_min_messages=fatal"))
	wait, err := leash.Start(cmd, syscall.SIGQUIT)
	if err != nil {
		t.Fatal(err)
	}
	cluster.cmd, cluster.wait = cmd, wait
	for until := time.Now().Add(keepertest.Hang); ; time.Sleep(20 * time.Millisecond) {
		c, err := pgx.Connect(context.Background(), adminDSN())
		if err == nil {
			_ = c.Close(context.Background())
			return
		}
		if time.Now().After(until) {
			t.Fatal(err)
		}
	}
}

// crash ends PostgreSQL without a word to its clients, and begins it anew.
func crash(t *testing.T) {
	t.Helper()
	cluster.Lock()
	defer cluster.Unlock()
	_ = cluster.cmd.Process.Signal(syscall.SIGQUIT)
	_ = cluster.wait()
	startCluster(t)
}

// advance stops PostgreSQL and moves its count of transactions forward by two
// to three times 2^20, to the beginning of a segment of their states.
func advance(t *testing.T) {
	t.Helper()
	xid := (int(column[int64](t, adminDSN(), "SELECT pg_current_xact_id()::text::bigint")[0])>>20 + 3) << 20
	cluster.Lock()
	defer cluster.Unlock()
	_ = cluster.cmd.Process.Signal(syscall.SIGINT)
	_ = cluster.wait()
	// The page of their states that the first of them needs, 2 bits each.
	segment := filepath.Join(cluster.dir, "data", "pg_xact", fmt.Sprintf("%04X", xid>>20))
	for _, args := range [][]string{
		{"dd", "if=/dev/zero", "of=" + segment, "bs=8192", "count=32", "status=none"},
		{program(t, "pg_resetwal"), "-x", strconv.Itoa(xid), "-D", filepath.Join(cluster.dir, "data")},
	} {
		if out, err := asPostgres(t, exec.Command(args[0], args[1:]...)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	startCluster(t)
}

func endCluster() {
	if cluster.cmd != nil {
		_ = cluster.cmd.Process.Signal(syscall.SIGQUIT)
		_ = cluster.wait()
	}
	_ = os.RemoveAll(cluster.dir)
}

func run1(t *testing.T, dsn, sql string) {
	t.Helper()
	c := connected(t, dsn)
	defer c.Close(context.Background())
	if _, err := c.Exec(context.Background(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func connected(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ask returns one column of all rows.
func column[T any](t *testing.T, dsn, sql string) []T {
	t.Helper()
	c := connected(t, dsn)
	defer c.Close(context.Background())
	rows, err := c.Query(context.Background(), sql)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatal(err)
	}
	return all
}
