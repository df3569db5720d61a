package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// runc is what containerd calls in place of the real one, whose path is the first argument. The real one is built without libseccomp,
// which would have to be installed for that, and refuses a container with a filter of system calls; kubelet asks for one in each pod. So the
// filter is left out. Nothing in a test bed runs that is not trusted.
func runc(arguments []string) error {
	if len(arguments) == 0 {
		return fail(badUse, "runc is what containerd calls in a node")
	}
	if at := slices.Index(arguments, "--bundle"); at >= 0 && at+1 < len(arguments) && slices.Contains(arguments, "create") {
		if err := withoutFilter(filepath.Join(arguments[at+1], "config.json")); err != nil {
			return err
		}
	}
	return syscall.Exec(arguments[0], arguments, os.Environ())
}

// withoutFilter removes linux.seccomp from the description of a container, and nothing else.
func withoutFilter(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var description, linux map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(text, &description), json.Unmarshal(description["linux"], &linux)); err != nil {
		return fmt.Errorf("%s cannot be read: %w", path, err)
	}
	delete(linux, "seccomp")
	if description["linux"], err = json.Marshal(linux); err != nil {
		return err
	}
	if text, err = json.Marshal(description); err != nil {
		return err
	}
	return writeFile(path, text)
}

// wrapRunc writes the command that containerd calls.
func (n *node) wrapRunc() error {
	text := fmt.Sprintf("#!/bin/sh\nexec %s runc %s \"$@\"\n", quote(n.bed.own("bed")), quote(n.bed.program("runc")))
	return os.WriteFile(n.bed.path("sbin", "runc"), []byte(text), 0o700)
}
