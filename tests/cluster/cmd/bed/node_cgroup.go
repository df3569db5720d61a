package main

import (
	"crypto/sha256"
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

// cgroupName is the control group of the node in a folder: no two have the same.
func cgroupName(dir string) string {
	digest := sha256.Sum256([]byte(dir))
	return fmt.Sprintf("cutover-%x", digest[:4])
}

// kubeletNeeds are the controllers of version 2 that kubelet wants in its group.
var kubeletNeeds = []string{"cpu", "cpuset", "hugetlb", "io", "memory", "pids"}

const (
	unified = "/sys/fs/cgroup"
	subtree = "cgroup.subtree_control"
)

// undelegated lists the controllers that kubelet wants, and that the root of version 2 has but does not hand down. With version 1 there are none.
func undelegated() []string {
	has, _ := os.ReadFile(filepath.Join(unified, "cgroup.controllers"))
	gives, _ := os.ReadFile(filepath.Join(unified, subtree))
	var missing []string
	for _, controller := range kubeletNeeds {
		if slices.Contains(strings.Fields(string(has)), controller) && !slices.Contains(strings.Fields(string(gives)), controller) {
			missing = append(missing, controller)
		}
	}
	return missing
}

// makeCgroups makes the group in which kubelet makes those of its pods, below a root that first hands down what it did not.
func makeCgroups(name string, delegated []string) error {
	if err := control(unified, "+", delegated); err != nil {
		return err
	}
	roots, err := cgroupRoots()
	if err != nil {
		return err
	}
	for _, root := range roots {
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fail(cannotRun, "a node needs control groups, and none can be made here: %v", err)
		}
		if err := prepareGroup(root, name); err != nil {
			return err
		}
	}
	return nil
}

// prepareGroup lets groups below this one have what they control. One of version 1 needs it for processors only.
func prepareGroup(root, name string) error {
	group := filepath.Join(root, name)
	if controllers, err := os.ReadFile(filepath.Join(group, "cgroup.controllers")); err == nil {
		return control(group, "+", strings.Fields(string(controllers)))
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		inherited, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(group, file), inherited, 0o644); err != nil {
			return fmt.Errorf("%s of the control group cannot be set: %w", file, err)
		}
	}
	return nil
}

// control lets a group of version 2 hand controllers down ("+"), or no longer ("-").
func control(group, sign string, controllers []string) error {
	for _, controller := range controllers {
		if err := os.WriteFile(filepath.Join(group, subtree), []byte(sign+controller), 0o644); err != nil {
			return fail(cannotRun, "the controller %s of %s cannot be handed down: %v", controller, group, err)
		}
	}
	return nil
}

// removeCgroups removes the group and all below it, once nothing runs there. A group goes a moment after its last process.
func removeCgroups(name string, delegated []string) error {
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
	// Another node may have come to rely on it: then it stays.
	if others, _ := filepath.Glob(filepath.Join(unified, "cutover-*")); len(others) == 0 {
		return control(unified, "-", delegated)
	}
	return nil
}
