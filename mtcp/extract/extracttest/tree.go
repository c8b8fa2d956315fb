// SPDX-License-Identifier: Apache-2.0

package extracttest

// node is a struct rb_node. Parents and colours no reader looks at: they are
// kept here only.
type node struct {
	parent, left, right *Skb
	red                 bool
}

// tree is tcp_rtx_queue.
type tree struct {
	addr uint64
	root *Skb
}

func (k *Kernel) nodeOf(b *Skb) uint64 {
	if b == nil {
		return 0
	}
	return b.Addr + k.at("sk_buff.rbnode")
}

func (k *Kernel) setLeft(b, child *Skb) {
	b.left = child
	k.store64(k.nodeOf(b)+k.at("rb_node.rb_left"), k.nodeOf(child))
}

func (k *Kernel) setRight(b, child *Skb) {
	b.right = child
	k.store64(k.nodeOf(b)+k.at("rb_node.rb_right"), k.nodeOf(child))
}

// replace has b's parent, or the root, point to another.
func (k *Kernel) replace(t *tree, b, parent, with *Skb) {
	switch {
	case parent == nil:
		t.root = with
		k.store64(t.addr, k.nodeOf(with))
	case parent.left == b:
		k.setLeft(parent, with)
	default:
		k.setRight(parent, with)
	}
	if with != nil {
		with.parent = parent
	}
}

// link puts b where its number belongs (net/ipv4/tcp_output.c, tcp_rbtree_insert).
func (k *Kernel) link(t *tree, b *Skb) {
	b.node = node{red: true}
	k.store64(k.nodeOf(b)+k.at("rb_node.rb_left"), 0)
	k.store64(k.nodeOf(b)+k.at("rb_node.rb_right"), 0)
	if t.root == nil {
		k.replace(t, nil, nil, b)
	} else {
		for p := t.root; ; {
			next := p.right
			if b.Seq.Less(p.Seq) {
				next = p.left
			}
			if next != nil {
				p = next
				continue
			}
			b.parent = p
			if b.Seq.Less(p.Seq) {
				k.setLeft(p, b)
			} else {
				k.setRight(p, b)
			}
			break
		}
	}
	k.balance(t, b)
}

// balance is lib/rbtree.c, __rb_insert.
func (k *Kernel) balance(t *tree, b *Skb) {
	for b.parent != nil && b.parent.red && b.parent.parent != nil {
		p, g := b.parent, b.parent.parent
		uncle := g.right
		if p == g.right {
			uncle = g.left
		}
		if uncle != nil && uncle.red {
			p.red, uncle.red, g.red = false, false, true
			b = g
			continue
		}
		if (p == g.left) != (b == p.left) {
			k.rotate(t, p, b)
			b, p = p, b
		}
		p.red, g.red = false, true
		k.rotate(t, g, p)
	}
	t.root.red = false
}

// rotate puts child into parent's place. Until the last store, child and what
// hangs on its other side cannot be reached.
func (k *Kernel) rotate(t *tree, parent, child *Skb) {
	up := parent.parent
	if child == parent.right {
		inner := child.left
		k.setRight(parent, inner)
		k.setLeft(child, parent)
		adopt(inner, parent)
	} else {
		inner := child.right
		k.setLeft(parent, inner)
		k.setRight(child, parent)
		adopt(inner, parent)
	}
	parent.parent = child
	k.replace(t, parent, up, child)
}

func adopt(b, parent *Skb) {
	if b != nil {
		b.parent = parent
	}
}

// erase takes b out; the tree is not balanced again.
func (k *Kernel) erase(t *tree, b *Skb) {
	switch {
	case b.left == nil:
		k.replace(t, b, b.parent, b.right)
	case b.right == nil:
		k.replace(t, b, b.parent, b.left)
	default:
		next := b.right // the one behind it
		for next.left != nil {
			next = next.left
		}
		if next != b.right {
			k.setLeft(next.parent, next.right)
			adopt(next.right, next.parent)
			k.setRight(next, b.right)
			adopt(b.right, next)
		}
		k.setLeft(next, b.left)
		adopt(b.left, next)
		next.red = b.red
		k.replace(t, b, b.parent, next)
	}
	if t.root != nil {
		t.root.red = false
	}
}

// each calls f for all, in order.
func (t *tree) each(f func(*Skb)) {
	var walk func(b *Skb)
	walk = func(b *Skb) {
		if b == nil {
			return
		}
		walk(b.left)
		f(b)
		walk(b.right)
	}
	walk(t.root)
}
