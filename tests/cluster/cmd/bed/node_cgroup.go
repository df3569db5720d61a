package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// cgroupRoots lists where control groups are mounted: one folder for each hierarchy of version 1, and the one of version 2. Where
// there are both, runc makes groups in both.
func cgroupRoots() ([]string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	roots := parseCgroupRoots(string(text))
	if len(roots) == 0 {
		return nil, fail(cannotRun, "a node needs control groups, and none are mounted here")
	}
	return roots, nil
}

func parseCgroupRoots(mounts string) []string {
	var roots []string
	for line := range strings.Lines(mounts) {
		before, after, found := strings.Cut(line, " - ")
		where, what := strings.Fields(before), strings.Fields(after)
		if found && len(where) > 4 && len(what) > 0 && (what[0] == "cgroup" || what[0] == "cgroup2") && !slices.Contains(roots, where[4]) {
			roots = append(roots, where[4])
		}
	}
	return roots
}

// makeCgroups makes the group in which kubelet makes those of its pods.
func makeCgroups(name string) error {
	roots, err := cgroupRoots()
	if err != nil {
		return err
	}
	for _, root := range roots {
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fail(cannotRun, "a node needs control groups, and none can be made here: %v", err)
		}
		if err := delegate(root, name); err != nil {
			return err
		}
	}
	return nil
}

// delegate lets groups below this one have what they control. A group of version 1 needs it for processors only; one of version 2 says
// what its children may control, which on a machine with systemd its root does already.
func delegate(root, name string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		inherited, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(root, name, file), inherited, 0o644); err != nil {
			return fmt.Errorf("%s of the control group cannot be set: %w", file, err)
		}
	}
	controllers, err := os.ReadFile(filepath.Join(root, name, "cgroup.controllers"))
	if err != nil {
		return nil
	}
	for _, controller := range strings.Fields(string(controllers)) {
		if err := os.WriteFile(filepath.Join(root, name, "cgroup.subtree_control"), []byte("+"+controller), 0o644); err != nil {
			return fmt.Errorf("the controller %s cannot be used in %s: %w", controller, name, err)
		}
	}
	return nil
}

// removeCgroups removes the group and all below it, once nothing runs there. A group goes a moment after its last process.
func removeCgroups(name string) error {
	roots, err := cgroupRoots()
	if err != nil {
		return err
	}
	for _, root := range roots {
		var groups []string
		err := filepath.WalkDir(filepath.Join(root, name), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				groups = append(groups, path)
			}
			return nil // one that has gone meanwhile is as good as removed
		})
		if err != nil {
			return err
		}
		slices.Reverse(groups)
		for _, group := range groups {
			err := await(patience, func() error {
				if err := syscall.Rmdir(group); !errors.Is(err, fs.ErrNotExist) {
					return err
				}
				return nil
			})
			if err != nil {
				return fail(environ, "the control group %s cannot be removed: %v", group, err)
			}
		}
	}
	return nil
}
