// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAuditAppends(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	for _, step := range []string{"plan", "kill"} {
		a, err := OpenAudit(path)
		if err != nil {
			t.Fatal(err)
		}
		// A comm is hostile text: it stays inside its line.
		if err := a.Append(Record{Step: step, Decided: true, Data: "evil\n{\"step\":\"forged\"}"}); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines:\n%s", len(lines), b)
	}
	for i, want := range []string{"plan", "kill"} {
		var r Record
		if err := json.Unmarshal([]byte(lines[i]), &r); err != nil || r.Step != want {
			t.Errorf("line %d: %q, %v", i, r.Step, err)
		}
	}
	if st, _ := os.Stat(path); st.Mode().Perm()&0o007 != 0 {
		t.Errorf("mode %v", st.Mode())
	}
}

// A monitor died in the middle of a line: the next one starts on its own.
func TestAuditAfterTornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	if err := os.WriteFile(path, []byte(`{"step":"kil`), 0o640); err != nil {
		t.Fatal(err)
	}
	a, err := OpenAudit(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.Append(Record{Step: "plan"}); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(path)
	last := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	var r Record
	if err := json.Unmarshal(last[len(last)-1], &r); err != nil || r.Step != "plan" {
		t.Errorf("log:\n%s", b)
	}
}

// A log that was renamed goes on under its old name; no line is lost.
func TestAuditReopens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	a, err := OpenAudit(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for _, step := range []string{"before", "between", "after"} {
		switch step {
		case "between":
			err = os.Rename(path, path+".1")
		case "after":
			err = a.Reopen()
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Append(Record{Step: step}); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string][]string{path + ".1": {"before", "between"}, path: {"after"}} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(b, []byte("\n")); n != len(want) {
			t.Errorf("%s has %d lines", file, n)
		}
		for _, step := range want {
			if !strings.Contains(string(b), `"step":"`+step+`"`) {
				t.Errorf("%s lacks %s:\n%s", file, step, b)
			}
		}
	}
}

// /dev/full is a disk without space.
func TestAuditFullDisk(t *testing.T) {
	a, err := OpenAudit("/dev/full")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.Append(Record{Step: "kill", Decided: true}); err == nil || a.Err() == nil {
		t.Error("a full disk took a decision")
	}
}

// A short write leaves a torn line; the next one starts on its own.
func TestAuditShortWrite(t *testing.T) {
	l := &logBuffer{}
	fails := true
	l.fail = func([]byte) error {
		if fails {
			l.b.WriteString(`{"st`)
			return errFull
		}
		return nil
	}
	a := NewAudit(l)
	if err := a.Append(Record{Step: "one"}); !errors.Is(err, errFull) {
		t.Fatalf("append: %v", err)
	}
	fails = false
	if err := a.Append(Record{Step: "two"}); err != nil || a.Err() != nil {
		t.Fatalf("append: %v", err)
	}
	lines := strings.Split(l.b.String(), "\n")
	if len(lines) < 2 || !strings.Contains(lines[1], `"step":"two"`) {
		t.Errorf("log:\n%s", l.b.String())
	}
}
