// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// parse splits "name?key=value&..." into the network's name and its faults.
func parse(s string) (string, Faults, error) {
	var f Faults
	name, query, _ := strings.Cut(s, "?")
	if name == "" {
		return "", f, fmt.Errorf("parse %q: a network has a name", s)
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return "", f, fmt.Errorf("parse %q: %w", s, err)
	}
	for key, values := range q {
		if err := f.set(key, values[len(values)-1]); err != nil {
			return "", f, fmt.Errorf("parse %q: %s: %w", s, key, err)
		}
	}
	return name, f, nil
}

func (f *Faults) set(key, value string) (err error) {
	switch key {
	case "seed":
		f.Seed, err = strconv.ParseUint(value, 10, 64)
	case "loss":
		f.Loss, err = share(value)
	case "dup":
		f.Dup, err = share(value)
	case "reorder":
		f.Reorder, err = share(value)
	case "delay":
		f.Delay, err = time.ParseDuration(value)
		if err == nil && f.Delay < 0 {
			err = fmt.Errorf("%v is in the past", f.Delay)
		}
	default:
		err = fmt.Errorf("unknown; there are seed, loss, dup, reorder, delay")
	}
	return err
}

func share(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err == nil && !(v >= 0 && v <= 1) {
		err = fmt.Errorf("%v is not from 0 to 1", v)
	}
	return v, err
}
