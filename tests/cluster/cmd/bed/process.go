package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// mark is a variable that each process of a bed carries, so that one can be found of which a killed `up` left no word.
const mark = "CUTOVER_BED_PROCESS"

// Identity names a process for good: a number is used again, but not with the same start.
type Identity struct {
	PID int `json:"pid"`
	// Started is when it began, in clock ticks since the machine did (field 22 of /proc/PID/stat).
	Started uint64 `json:"started"`
}

// Process is a child of a bed, alive or not.
type Process struct {
	Identity
	Command     []string          `json:"command"`
	Environment map[string]string `json:"environment"`
	Log         string            `json:"log"`
	// Ready is the URL that answers 200, or the "tcp:ADDRESS" or "unix:PATH" that takes connections, once it is up.
	Ready string `json:"ready,omitempty"`
	// Directory is where it runs, if that matters.
	Directory string `json:"directory,omitempty"`
	// Alone is set where what it has started is to outlive it, as pods do containerd.
	Alone bool `json:"alone,omitempty"`
	// Folders has what it is to see in place of a folder of this machine: such a path, and the folder to be shown.
	Folders map[string]string `json:"folders,omitempty"`
}

// stat is what /proc/PID/stat says that matters here.
type stat struct {
	Identity
	session int
	zombie  bool
}

func readStat(pid int) (stat, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, false
	}
	// The name, in brackets, may hold anything.
	end := bytes.LastIndexByte(text, ')')
	fields := strings.Fields(string(text[end+1:]))
	if end < 0 || len(fields) < 20 {
		return stat{}, false
	}
	session, _ := strconv.Atoi(fields[3])
	started, _ := strconv.ParseUint(fields[19], 10, 64)
	// While threads of it are left, the ports are not free yet.
	threads, _ := strconv.Atoi(fields[17])
	return stat{Identity{pid, started}, session, (fields[0] == "Z" || fields[0] == "X") && threads <= 1}, true
}

func identityOf(pid int) Identity {
	found, _ := readStat(pid)
	return found.Identity
}

// alive says whether this very process still runs.
func (i Identity) alive() bool {
	found, is := readStat(i.PID)
	return i.PID > 0 && is && found.Identity == i && !found.zombie
}

// spawn starts a process in a session of its own, and writes it down. It outlives this program.
func (b *Bed) spawn(name string, process *Process) error {
	process.Log = b.path("logs", name+".log")
	log, err := os.OpenFile(process.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(process.Command[0], process.Command[1:]...)
	command.Dir = cmp.Or(process.Directory, b.path("tmp"))
	command.Stdout, command.Stderr = log, log
	command.Env = b.environ(process.Environment)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if len(process.Folders) > 0 {
		if err := mask(command, process.Folders); err != nil {
			return err
		}
	}
	b.saving.Lock()
	defer b.saving.Unlock()
	if b.ending {
		return errors.New("the bed is being ended")
	}
	if err := b.launch(command); err != nil {
		return fail(environ, "%s cannot be started: %v", name, err)
	}
	go command.Wait()
	process.Identity = identityOf(command.Process.Pid)
	b.Processes[name] = process
	return b.saveHeld()
}

// environ is the environment of what a bed starts: nothing but what is named here, so that it behaves the same whoever starts it.
func (b *Bed) environ(more map[string]string) []string {
	tmp := b.path("tmp")
	all := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + tmp, "TMPDIR=" + tmp, mark + "=" + b.dir}
	for key, value := range more {
		all = append(all, key+"="+value)
	}
	return all
}

// stop ends a process and, unless it is alone, all of its session, first politely unless it is to be killed, and waits until they are gone.
func (b *Bed) stop(process *Process, kill bool) error {
	signal := syscall.SIGTERM
	if kill {
		signal = syscall.SIGKILL
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		left := b.session(process)
		if len(left) == 0 {
			return nil
		}
		for _, each := range left {
			if err := syscall.Kill(each.PID, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("process %d cannot be ended: %w", each.PID, err)
			}
		}
		gone := func() error {
			if len(b.session(process)) > 0 {
				return errors.New("some still run")
			}
			return nil
		}
		if await(time.Until(deadline), gone) == nil {
			return nil
		}
		if signal == syscall.SIGKILL {
			return fail(environ, "process %d does not end, not even when it is killed", process.PID)
		}
		signal, deadline = syscall.SIGKILL, time.Now().Add(5*time.Second)
	}
}

// session lists what runs of a process and of those that it has started. When the process itself has ended, only those count
// that carry the mark of this bed: its number may have been used again for a session that is none of ours.
func (b *Bed) session(of *Process) []Identity {
	if of.PID <= 0 {
		return nil
	}
	leader := of.alive()
	if of.Alone {
		if leader {
			return []Identity{of.Identity}
		}
		return nil
	}
	var members []Identity
	for _, each := range allProcesses() {
		if each.session == of.PID && !each.zombie && (leader || b.marked(each.PID)) {
			members = append(members, each.Identity)
		}
	}
	return members
}

// strays lists all that carries the mark of this bed, whoever wrote it down.
func (b *Bed) strays() []Identity {
	var found []Identity
	for _, each := range allProcesses() {
		if !each.zombie && each.PID != os.Getpid() && b.marked(each.PID) {
			found = append(found, each.Identity)
		}
	}
	return found
}

func (b *Bed) marked(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	for variable := range strings.SplitSeq(string(text), "\x00") {
		if variable == mark+"="+b.dir {
			return true
		}
	}
	return false
}

func allProcesses() []stat {
	var all []stat
	entries, _ := fs.Glob(os.DirFS("/proc"), "[0-9]*")
	for _, entry := range entries {
		pid, err := strconv.Atoi(filepath.Base(entry))
		if err != nil {
			continue
		}
		if found, is := readStat(pid); is {
			all = append(all, found)
		}
	}
	return all
}

// endAll ends everything of the bed at once. Nothing in it is worth a farewell.
func (b *Bed) endAll() error {
	for {
		left := b.strays()
		for _, process := range b.Processes {
			left = append(left, b.session(process)...)
		}
		if len(left) == 0 {
			return nil
		}
		for _, each := range left {
			if err := syscall.Kill(each.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("process %d cannot be ended: %w", each.PID, err)
			}
		}
		gone := func() error {
			for _, each := range left {
				if each.alive() {
					return fmt.Errorf("process %d does not end, not even when it is killed", each.PID)
				}
			}
			return nil
		}
		if err := await(10*time.Second, gone); err != nil {
			return fail(environ, "%v", err)
		}
	}
}

// program is the path of one of the programs of scripts/get-cluster.
func (b *Bed) program(name string) string { return filepath.Join(b.Programs, name) }

// own is the path of the copy of this program, or of another of this module, that the bed has for itself.
func (b *Bed) own(name string) string { return b.path("bin", name) }
