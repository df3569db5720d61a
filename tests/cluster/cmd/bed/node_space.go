package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A node lives in a network, a mount and a process namespace of its own. Its first process, `bed hold`, is called the holder: when
// it ends, for whatever reason, the kernel ends everything else there, and the mounts and network devices go too. So nothing of the
// machine has to be put back, neither after a crash nor after a `kill -9`: it was never changed.
const holder = "holder"

// hiddenFolders are those in which Kubernetes and containerd write to fixed paths. In the node's mount namespace such writes go to the
// bed's folder.
var hiddenFolders = []string{"/etc", "/opt", "/var/lib", "/var/log"}

// hiddenSettings are kernel settings that kubelet would write for the whole machine. In the node they have the values already.
var hiddenSettings = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// startHolder makes the namespaces.
func (b *Bed) startHolder() error {
	process := &Process{Command: []string{b.own("bed"), "hold", b.dir}, Log: b.path("logs", holder+".log")}
	log, err := os.OpenFile(process.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(process.Command[0], process.Command[1:]...)
	command.Stderr = log
	command.Env = []string{mark + "=" + b.dir}
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	ready, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	b.saving.Lock()
	if err := command.Start(); err != nil {
		b.saving.Unlock()
		return fail(cannotRun, "a node needs namespaces of its own, and this machine grants none: %v", err)
	}
	process.Identity = identityOf(command.Process.Pid)
	b.Processes[holder] = process
	b.Netns = fmt.Sprintf("/proc/%d/ns/net", process.PID)
	err = b.saveHeld()
	b.saving.Unlock()
	if err != nil {
		return err
	}
	word := make([]byte, 16)
	n, _ := ready.Read(word)
	go command.Wait()
	if string(word[:n]) != "held\n" {
		return fail(cannotRun, "the namespaces of the node cannot be set up: %s", lastLines(process.Log, 3))
	}
	return nil
}

// hold is the first process of the node: it mounts, says so, and then reaps what is orphaned, until it is killed.
func hold(arguments []string) error {
	if len(arguments) != 1 || os.Getpid() != 1 {
		return fail(badUse, "hold is what `cluster-up` starts in namespaces of its own")
	}
	orphans := make(chan os.Signal, 1)
	signal.Notify(orphans, syscall.SIGCHLD)
	if err := mountNode(arguments[0]); err != nil {
		return err
	}
	fmt.Println("held")
	for range orphans {
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if pid <= 0 && !errors.Is(err, syscall.EINTR) {
				break
			}
		}
	}
	return nil
}

func mountNode(dir string) error {
	// Mounts in here must not be seen outside; among themselves, pods may pass them on.
	for _, flags := range []uintptr{syscall.MS_REC | syscall.MS_PRIVATE, syscall.MS_REC | syscall.MS_SHARED} {
		if err := syscall.Mount("", "/", "", flags, ""); err != nil {
			return fmt.Errorf("mounts cannot be kept apart: %w", err)
		}
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("/proc cannot be mounted: %w", err)
	}
	for _, folder := range hiddenFolders {
		if !isFolder(folder) {
			continue
		}
		over := filepath.Join(dir, "hidden", folder)
		for _, part := range []string{"upper", "work"} {
			if err := os.MkdirAll(filepath.Join(over, part), 0o755); err != nil {
				return err
			}
		}
		options := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", folder, over, over)
		if err := syscall.Mount("overlay", folder, "overlay", 0, options); err != nil {
			return fmt.Errorf("%s cannot be overlaid: %w", folder, err)
		}
	}
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("/run cannot be replaced: %w", err)
	}
	for setting, value := range hiddenSettings {
		path := filepath.Join("/proc/sys", setting)
		if _, err := os.Stat(path); err != nil {
			continue // this kernel does not have it
		}
		copied := filepath.Join(dir, "hidden", strings.ReplaceAll(setting, "/", "."))
		if err := os.WriteFile(copied, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := syscall.Mount(copied, path, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s cannot be hidden: %w", path, err)
		}
	}
	// These belong to the network namespace, not to the machine.
	for setting, value := range map[string]string{"ipv4/ip_forward": "1", "bridge/bridge-nf-call-iptables": "1"} {
		if err := os.WriteFile(filepath.Join("/proc/sys/net", setting), []byte(value), 0o644); err != nil {
			return fmt.Errorf("net/%s cannot be set (is the kernel module br_netfilter loaded?): %w", setting, err)
		}
	}
	return nil
}

// within does something inside the namespaces of a process. What it starts there stays there; files that are open stay the ones of
// outside.
func within(pid int, do func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread, which cannot come back out, ends with this function.
		runtime.LockOSThread()
		done <- enter(pid, do)
	}()
	return <-done
}

func enter(pid int, do func() error) error {
	var opened []int
	defer func() {
		for _, each := range opened {
			unix.Close(each)
		}
	}()
	// The mounts last: then /proc is another one.
	for _, kind := range []string{"net", "pid", "mnt"} {
		descriptor, err := unix.Open(filepath.Join("/proc", strconv.Itoa(pid), "ns", kind), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("the namespaces of the node are gone: %w", err)
		}
		opened = append(opened, descriptor)
	}
	// A mount namespace can be entered only by a thread that has a working folder of its own.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	for _, descriptor := range opened {
		if err := unix.Setns(descriptor, 0); err != nil {
			return fmt.Errorf("the namespaces of the node cannot be entered: %w", err)
		}
	}
	return do()
}

// launch starts a command: in the namespaces of the node if the bed is one.
func (b *Bed) launch(command *exec.Cmd) error {
	if process := b.Processes[holder]; process != nil {
		return within(process.PID, command.Start)
	}
	return command.Start()
}
