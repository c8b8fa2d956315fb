// SPDX-License-Identifier: Apache-2.0

package meet

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"lazystate/dsm"
)

// Etcd is a meeting under a prefix, for nodes that have no folder in common. Who may
// read there has the key.
func Etcd(client *clientv3.Client, prefix string) Meeting { return keys{client, prefix} }

type keys struct {
	client *clientv3.Client
	prefix string
}

// answersIn bounds a question: a client whose servers are not there asks on for ever.
const answersIn = 20 * time.Second

func (k keys) Key(ctx context.Context) (Key, error) {
	ctx, cancel := context.WithTimeout(ctx, answersIn)
	defer cancel()
	name := k.prefix + "key"
	r, err := k.client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(name), "=", 0)).
		Then(clientv3.OpPut(name, newKey()), clientv3.OpGet(name)).
		Else(clientv3.OpGet(name), clientv3.OpGet(name)).
		Commit()
	if err != nil {
		return Key{}, fmt.Errorf("the run's key in etcd: %w", err)
	}
	kvs := r.Responses[1].GetResponseRange().Kvs
	if len(kvs) != 1 {
		return Key{}, fmt.Errorf("the run's key in etcd: there are %d", len(kvs))
	}
	return parseKey(string(kvs[0].Value))
}

func (k keys) node(i dsm.NodeID) string { return k.prefix + "nodes/" + strconv.Itoa(int(i)) }

func (k keys) Tell(ctx context.Context, node dsm.NodeID, p Place) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answersIn)
	defer cancel()
	if _, err := k.client.Put(ctx, k.node(node), string(b)); err != nil {
		return fmt.Errorf("tell etcd where %v is: %w", node, err)
	}
	return nil
}

func (k keys) Find(ctx context.Context, node dsm.NodeID) (p Place, ok bool, err error) {
	r, err := k.client.Get(ctx, k.node(node))
	if err != nil {
		return p, false, fmt.Errorf("look for %v in etcd: %w", node, err)
	}
	if len(r.Kvs) == 0 {
		return p, false, nil
	}
	p, err = parsePlace(r.Kvs[0].Value)
	return p, err == nil, err
}
