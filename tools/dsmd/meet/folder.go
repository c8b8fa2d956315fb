// SPDX-License-Identifier: Apache-2.0

package meet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lazystate/dsm"
)

// Folder is a meeting in a folder, which is made if it is not there: a file a node,
// and one that has the key.
func Folder(dir string) Meeting { return folder(dir) }

type folder string

func (f folder) node(i dsm.NodeID) string { return filepath.Join(string(f), fmt.Sprintf("node-%d", i)) }

// write makes a file that is whole, and gives it its name by put.
func (f folder) write(b []byte, name string, put func(from, to string) error) error {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return err
	}
	t, err := os.CreateTemp(string(f), "new-") // 0600
	if err != nil {
		return err
	}
	_, err = t.Write(b)
	if err = errors.Join(err, t.Close()); err == nil {
		err = put(t.Name(), name)
	}
	if bad := os.Remove(t.Name()); !errors.Is(bad, fs.ErrNotExist) {
		err = errors.Join(err, bad)
	}
	return err
}

func (f folder) Key(context.Context) (Key, error) {
	name := filepath.Join(string(f), "key")
	if err := f.write([]byte(newKey()), name, os.Link); err != nil && !errors.Is(err, fs.ErrExist) {
		return Key{}, fmt.Errorf("the run's key: %w", err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return Key{}, fmt.Errorf("the run's key: %w", err)
	}
	return parseKey(string(b))
}

func (f folder) Tell(_ context.Context, node dsm.NodeID, p Place) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := f.write(b, f.node(node), os.Rename); err != nil {
		return fmt.Errorf("tell where %v is: %w", node, err)
	}
	return nil
}

func (f folder) Find(_ context.Context, node dsm.NodeID) (p Place, ok bool, err error) {
	b, err := os.ReadFile(f.node(node))
	if errors.Is(err, fs.ErrNotExist) {
		return p, false, nil
	}
	if err != nil {
		return p, false, err
	}
	p, err = parsePlace(b)
	return p, err == nil, err
}
