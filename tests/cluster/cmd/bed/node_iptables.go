package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// iptables is where the tool is: installed, or unpacked by scripts/get-iptables below a folder.
type iptables struct {
	// root is "" where it is installed.
	root    string
	binary  string
	modules string
}

// iptablesNames are what the one binary is called by, and then does.
var iptablesNames = []string{"iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"}

// findIptables finds the binary for the kernel's newer interface, or the one for the older.
func findIptables(root string) (iptables, error) {
	modules := first(root, "/usr/lib/*/xtables", "/usr/lib64/xtables", "/usr/lib/xtables", "/lib/xtables", "/lib64/xtables")
	binary := first(root, "/usr/sbin/xtables-nft-multi", "/sbin/xtables-nft-multi", "/usr/bin/xtables-nft-multi",
		"/usr/sbin/xtables-legacy-multi", "/sbin/xtables-legacy-multi", "/usr/bin/xtables-legacy-multi")
	if modules == "" || binary == "" {
		return iptables{}, fail(cannotRun, "a node needs iptables, which is not installed")
	}
	return iptables{root, binary, modules}, nil
}

// first is the first path below root that one of the patterns finds.
func first(root string, patterns ...string) string {
	for _, pattern := range patterns {
		if found, _ := filepath.Glob(root + pattern); len(found) > 0 {
			return found[0]
		}
	}
	return ""
}

// environment lets the binary find its parts where they are not installed.
func (t iptables) environment() map[string]string {
	if t.root == "" {
		return nil
	}
	return map[string]string{"LD_LIBRARY_PATH": filepath.Dir(t.modules), "XTABLES_LIBDIR": t.modules}
}

// link makes a folder that has it under all of its names.
func (t iptables) link(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, name := range iptablesNames {
		if err := os.Symlink(t.binary, filepath.Join(folder, name)); err != nil {
			return err
		}
	}
	return nil
}

// libraries lists the shared libraries of a binary, as the loader finds them here, the loader among them.
func libraries(binary string, environment map[string]string) ([]string, error) {
	command := exec.Command("ldd", binary)
	command.Env = os.Environ()
	for name, value := range environment {
		command.Env = append(command.Env, name+"="+value)
	}
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("ldd does not say which libraries %s needs: %w", binary, err)
	}
	var found []string
	for line := range strings.Lines(string(output)) {
		if strings.Contains(line, "not found") {
			return nil, fail(cannotRun, "a library that %s needs is missing: %s", filepath.Base(binary), strings.TrimSpace(line))
		}
		for word := range strings.FieldsSeq(line) {
			if strings.HasPrefix(word, "/") {
				found = append(found, word)
			}
		}
	}
	return found, nil
}
