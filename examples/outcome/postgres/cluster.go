// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"lazystate/internal/leash"
)

// starting is how long a cluster may take to answer.
const starting = 2 * time.Minute

// Cluster is a PostgreSQL of one user.
type Cluster struct {
	Dir  string // of its data, and of its socket
	user string
	cmd  *exec.Cmd
	wait func() error
}

// Start makes one, whose databases are user's.
func Start(user string) (*Cluster, error) {
	dir, err := os.MkdirTemp("", "postgres-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: dir, user: user}
	err = c.Run("initdb", "-A", "trust", "-U", user, "-N", "-D", c.Data())
	if err == nil {
		err = c.Up()
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Data is the folder that PostgreSQL knows.
func (c *Cluster) Data() string { return filepath.Join(c.Dir, "data") }

// DSN connects to a database.
func (c *Cluster) DSN(name string) string {
	return fmt.Sprintf("host=%s user=%s dbname=%s", c.Dir, c.user, name)
}

// program finds one of Debian's, which are in no PATH.
func program(name string) (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no %s: tools/bootstrap.sh installs PostgreSQL", name)
	}
	if err != nil {
		return "", err
	}
	return found[len(found)-1], nil
}

// own has a command run as postgres: PostgreSQL refuses to be run by root.
func (c *Cluster) own(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	cmd.Dir = "/"
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(c.Dir, uid, gid)
}

// Run runs a program as whoever the cluster's files belong to: one of PostgreSQL's
// by its name, another by its path.
func (c *Cluster) Run(name string, args ...string) error {
	path := name
	if !filepath.IsAbs(name) {
		var err error
		if path, err = program(name); err != nil {
			return err
		}
	}
	cmd := exec.Command(path, args...)
	if err := c.own(cmd); err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// Up starts what was stopped, and returns when it answers.
func (c *Cluster) Up() error {
	path, err := program("postgres")
	if err != nil {
		return err
	}
	cmd := exec.Command(path, "-D", c.Data(), "-c", "listen_addresses=", "-c", "unix_socket_directories="+c.Dir,
		"-c", "fsync=off", "-c", "autovacuum=off", "-c", "log_min_messages=fatal")
	if err := c.own(cmd); err != nil {
		return err
	}
	if c.wait, err = leash.Start(cmd, syscall.SIGQUIT); err != nil {
		return err
	}
	c.cmd = cmd
	for end := time.Now().Add(starting); ; time.Sleep(20 * time.Millisecond) {
		conn, err := pgx.Connect(context.Background(), c.DSN("postgres"))
		if err == nil {
			return conn.Close(context.Background())
		}
		if time.Now().After(end) {
			return err
		}
	}
}

// Stop ends it: SIGINT as an operator would, SIGQUIT without a word to its clients.
func (c *Cluster) Stop(how syscall.Signal) {
	if c.cmd != nil {
		_ = c.cmd.Process.Signal(how)
		_ = c.wait() // it may well say how it ended
		c.cmd = nil
	}
}

// Close ends it and removes its files.
func (c *Cluster) Close() error {
	c.Stop(syscall.SIGQUIT)
	return os.RemoveAll(c.Dir)
}

// Create makes an empty database.
func (c *Cluster) Create(ctx context.Context, name string) (dsn string, err error) {
	return c.DSN(name), Exec(ctx, c.DSN("postgres"), "CREATE DATABASE "+name)
}

// Exec runs some SQL.
func Exec(ctx context.Context, dsn, sql string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%.200s: %w", sql, err)
	}
	return nil
}
