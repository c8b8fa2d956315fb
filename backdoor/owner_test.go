// SPDX-License-Identifier: Apache-2.0

package backdoor_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
)

func owned(opts ...bdtest.Option) *bdtest.Target {
	return lockable(append(opts, bdtest.WithOwners())...)
}

func place(t *testing.T, bt *backdoor.Target, slot uint32, k uapi.Key) backdoor.WritersPlace {
	t.Helper()
	p, err := bt.WritersPlace(slot, k)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func own(p backdoor.WritersPlace, epoch uint64, slot uint32, lease time.Duration) error {
	return p.Own(context.Background(), backdoor.Owner{Epoch: epoch, Monitor: slot, Name: "m"}, lease)
}

// The words say the same as any writer's place: one holder, epochs rise, a
// lease ends by itself.
func TestOwnerWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := owned()
		bt := open(t, target)
		a, b := place(t, bt, 2, key), place(t, bt, 3, key)
		if err := own(a, 5, 2, time.Second); err != nil {
			t.Fatal(err)
		}
		var held *backdoor.OwnedError
		if err := own(b, 6, 3, time.Second); !errors.As(err, &held) || held.By.Monitor != 2 || held.By.Left <= 0 || held.By.Left > time.Second {
			t.Errorf("a second owner: %v", err)
		}
		for range 5 { // renewals
			time.Sleep(900 * time.Millisecond)
			if err := own(a, 5, 2, time.Second); err != nil {
				t.Fatal(err)
			}
		}
		if v, err := a.Owner(t.Context()); err != nil || !v.Held || v.Epoch != 5 || v.Name != "m" {
			t.Errorf("%+v, %v", v, err)
		}
		time.Sleep(1100 * time.Millisecond)
		target.Step()
		if v, err := b.Owner(t.Context()); err != nil || v.Held || v.Epoch != 5 {
			t.Errorf("after its lease: %+v, %v", v, err)
		}
		var stale *backdoor.StaleOwnerError
		if err := own(b, 5, 3, time.Second); !errors.As(err, &stale) || stale.Last.Epoch != 5 {
			t.Errorf("an epoch that was there: %v", err)
		}
		if err := own(b, 6, 3, time.Second); err != nil {
			t.Fatal(err)
		}
		if err := own(a, 5, 2, time.Second); !errors.As(err, &held) {
			t.Errorf("the former owner: %v", err)
		}
		if err := errors.Join(a.Disown(t.Context()), b.Disown(t.Context()), b.Disown(t.Context())); err != nil {
			t.Error(err)
		}
		if err := own(a, 5, 2, time.Second); !errors.As(err, &stale) {
			t.Errorf("the former owner, of a free place: %v", err)
		}
		if err := own(a, 7, 2, time.Second); err != nil {
			t.Error(err)
		}
	})
}

func TestOwnerWordsRefuse(t *testing.T) {
	bt := open(t, owned())
	p := place(t, bt, 2, key)
	for name, err := range map[string]error{
		"no epoch":     own(p, 0, 2, time.Second),
		"a long epoch": own(p, 1<<32, 2, time.Second),
		"another slot": own(p, 1, 3, time.Second),
		"short lease":  own(p, 1, 2, time.Millisecond),
		"long lease":   own(p, 1, 2, 2*time.Hour),
	} {
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	var no *backdoor.OwnerRefusedError
	if err := own(place(t, bt, 3, uapi.Key{9}), 1, 3, time.Second); !errors.As(err, &no) || no.Reason != uapi.OwnTag {
		t.Errorf("wrong key: %v", err)
	}
	if err := own(place(t, bt, 4, key), 1, 4, time.Second); !errors.As(err, &no) || no.Reason != uapi.OwnNoKey {
		t.Errorf("no key: %v", err)
	}
	if _, err := open(t, lockable()).WritersPlace(2, key); !errors.Is(err, backdoor.ErrNoRegion) {
		t.Errorf("a target without the words: %v", err)
	}
	if _, err := bt.WritersPlace(uapi.Monitors, key); err == nil {
		t.Error("a slot that no target has")
	}
}

// A target whose CPUs do not answer gives no place; the answer is bounded.
func TestOwnerWordsOfHungTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := owned()
		p := place(t, open(t, target), 2, key)
		target.Hang(true)
		began := time.Now()
		if err := own(p, 1, 2, time.Second); !errors.Is(err, backdoor.ErrNoAnswer) || time.Since(began) > time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if err := p.Disown(t.Context()); !errors.Is(err, backdoor.ErrNoAnswer) {
			t.Errorf("disown: %v", err)
		}
		target.Hang(false)
		target.Reboot()
		if err := own(p, 2, 2, time.Second); !errors.Is(err, backdoor.ErrReplaced) {
			t.Errorf("of another boot: %v", err)
		}
	})
}

// Whatever operation fails, Own returns, and says that it may not be held.
func TestOwnerWordsFaultAtEveryIndex(t *testing.T) {
	broken := errors.New("broken wire")
	for at := 0; ; at++ {
		target := owned()
		p := place(t, open(t, target), 2, key)
		before := target.Memory().Ops()
		target.Memory().OnIndex(before+at, broken)
		err := own(p, 1, 2, time.Second)
		if err == nil {
			if at == 0 {
				t.Error("no operation failed")
			}
			return
		}
		if !errors.Is(err, broken) {
			t.Errorf("operation %d: %v", at, err)
		}
		target.Memory().Heal()
		if err := own(p, 2, 2, time.Second); err != nil {
			t.Errorf("operation %d, then tried again: %v", at, err)
		}
	}
}

func FuzzDecodeOwnerAck(f *testing.F) {
	good := uapi.OwnerAck{Magic: uapi.OwnerMagic, Owner: 3, Epoch: 7}
	f.Add(good.Encode())
	f.Add(good.Encode()[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := backdoor.DecodeOwnerAck(b)
		if err == nil && a.Owner != uapi.OwnerNone && a.Owner >= uapi.Monitors {
			t.Errorf("accepted %+v", a)
		}
	})
}
