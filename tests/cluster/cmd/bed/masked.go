package main

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// mask makes a command see folders of the bed in place of ones of this machine: in a mount namespace of its own, and without
// root in a user namespace too, where it may mount. It begins as `bed masked`, which mounts and then becomes the command.
func mask(command *exec.Cmd, folders map[string]string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := json.Marshal(folders)
	if err != nil {
		return err
	}
	command.Args = append([]string{self, "masked", string(text)}, command.Args...)
	command.Path = self
	command.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS
	if uid := os.Getuid(); uid != 0 {
		command.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		command.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		command.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return nil
}

// canMask says whether this machine lets its users do that.
func canMask(folders map[string]string) error {
	probe := exec.Command("/bin/true")
	probe.SysProcAttr = &syscall.SysProcAttr{}
	if err := mask(probe, folders); err != nil {
		return err
	}
	if output, err := probe.CombinedOutput(); err != nil {
		return fail(cannotRun, "--agent shows each agent a folder of its own as %s, and this machine lets only root do that (%v%s)",
			strings.Join(slices.Collect(maps.Keys(folders)), ", "), err, strings.TrimSpace(": "+string(output)))
	}
	return nil
}

// masked is the other half of mask, inside the namespace.
func masked(arguments []string) error {
	var folders map[string]string
	if err := json.Unmarshal([]byte(arguments[0]), &folders); err != nil {
		return err
	}
	// What is mounted here is to be seen here alone.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fail(environ, "nothing can be mounted here: %v", err)
	}
	for path, shown := range folders {
		// A folder that is not there cannot be made without root, so the one above that is there gives way to an empty one.
		above := filepath.Dir(path)
		for !isFolder(above) {
			above = filepath.Dir(above)
		}
		if !isFolder(path) {
			// Hold on to the bed's folder by its descriptor: it may lie below what gives way.
			held, err := os.Open(shown)
			if err != nil {
				return err
			}
			if err := syscall.Mount("tmpfs", above, "tmpfs", 0, "mode=755"); err != nil {
				return fail(environ, "%s cannot be replaced: %v", above, err)
			}
			if err := os.MkdirAll(path, 0o755); err != nil {
				return err
			}
			shown = filepath.Join("/proc/self/fd", itoa(held.Fd()))
		}
		if err := syscall.Mount(shown, path, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
			return fail(environ, "%s cannot be shown as %s: %v", shown, path, err)
		}
	}
	return syscall.Exec(arguments[1], arguments[1:], os.Environ())
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
