package main

import (
	"os"
	"testing"
)

func TestAProcessIsKnownByItsStart(t *testing.T) {
	self := identityOf(os.Getpid())
	if !self.alive() {
		t.Errorf("%+v runs, and is said to have ended", self)
	}
	if (Identity{self.PID, self.Started - 1}).alive() {
		t.Error("the process that had this number before is said to run")
	}
	if (Identity{}).alive() {
		t.Error("no process is said to run")
	}
}

func TestPortsDiffer(t *testing.T) {
	ports, err := freePorts(50)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, port := range ports {
		if seen[port] {
			t.Errorf("port %d is given twice", port)
		}
		seen[port] = true
	}
}

func TestAWordOfAShellIsQuotedWhenItMustBe(t *testing.T) {
	for text, want := range map[string]string{
		"/tmp/a-b": "/tmp/a-b", "a b": "'a b'", "it's": `'it'\''s'`, "": "''", "$HOME": "'$HOME'", "127.0.0.1:1,127.0.0.1:2": "127.0.0.1:1,127.0.0.1:2",
	} {
		if got := quote(text); got != want {
			t.Errorf("%q becomes %s, not %s", text, got, want)
		}
	}
}
