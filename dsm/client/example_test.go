// SPDX-License-Identifier: Apache-2.0

package client

import "fmt"

// Each node initialises what it will work on, so that its pages have their homes there.
// Where another does that, such as node 0 here, Place says it.
func ExamplePlace() {
	err := Local(LocalConfig{Nodes: 2}, func(n *Node) error {
		table := Slice[int64](n, 4096) // eight pages, four a node
		half := len(table) / 2
		if n.ID() == 0 {
			Place(n, table[:half], 0)
			Place(n, table[half:], 1)
			for i := range table {
				table[i] = int64(i)
			}
		}
		n.Barrier()
		var sum int64
		for _, v := range table[n.ID()*half:][:half] { // at home: node 1 fetches nothing
			sum += v
		}
		if n.ID() == 1 {
			fmt.Println(sum)
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// 6290432
	// <nil>
}

// What is read next is asked for at once, and comes while the program computes.
func ExamplePrefetch() {
	err := Local(LocalConfig{Nodes: 2}, func(n *Node) error {
		rows := Slice[[512]float64](n, 16) // a page each
		if n.ID() == 0 {
			for i := range rows {
				rows[i][0] = float64(i)
			}
		}
		n.Barrier()
		if n.ID() == 0 {
			return nil
		}
		var sum float64
		Prefetch(n, rows[:4], false)
		for i := 0; i < len(rows); i += 4 {
			if next := i + 4; next < len(rows) {
				Prefetch(n, rows[next:next+4], false)
			}
			for _, row := range rows[i : i+4] {
				sum += row[0]
			}
		}
		fmt.Println(sum)
		return nil
	})
	fmt.Println(err)
	// Output:
	// 120
	// <nil>
}

// One node allocates what it knows the size of only now, and tells the others where that
// is, through shared memory.
func ExampleAlloc() {
	err := Local(LocalConfig{Nodes: 2}, func(n *Node) error {
		list := Slice[Ref[int64]](n, 1)
		if n.ID() == 0 {
			r, err := Alloc[int64](n, 1000)
			if err != nil {
				return err // no room: others may have more use for it
			}
			squares := r.In(n)
			for i := range squares {
				squares[i] = int64(i * i)
			}
			list[0] = r
		}
		n.Barrier()
		if n.ID() == 1 {
			squares := list[0].In(n)
			fmt.Println(len(squares), squares[30])
		}
		n.Barrier() // nobody reads it any more
		if n.ID() == 0 {
			return Free(n, list[0])
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// 1000 900
	// <nil>
}

// A program knows best when its private state is small: here it asks for a checkpoint
// behind every third step. The node is lost behind step 5, and goes on with step 6.
func ExampleNode_Checkpoint() {
	begun := 0
	lost := func(_, step int) bool { return step == 6 }
	err := Local(LocalConfig{Nodes: 1, Restart: lost}, func(n *Node) error {
		begun++
		var sum int
		n.Private("sum", &sum)
		n.Run(func(k int) bool {
			sum += k
			if k%3 == 2 {
				n.Checkpoint()
			}
			n.Barrier()
			return k < 9
		})
		fmt.Println("begun", begun, "times:", sum)
		return nil
	})
	fmt.Println(err)
	// Output:
	// begun 2 times: 45
	// <nil>
}
