package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// Bed is what bed.json says: all that was started, and where it answers. Tests read it.
type Bed struct {
	// Kind is "istio" (control plane and proxies) or "cluster" (a whole node).
	Kind string `json:"kind"`
	// Ready is set once `up` has ended well.
	Ready bool `json:"ready"`
	// Starter is the `up` at work, until it has ended.
	Starter *Identity `json:"starter,omitempty"`
	// Programs, Envoy and Checkout are where the programs, Envoy and this repository are.
	Programs string `json:"programs"`
	Envoy    string `json:"envoy"`
	Checkout string `json:"checkout"`
	// Kubeconfig is the administrator's; Users has it for each user of the API server.
	Kubeconfig string              `json:"kubeconfig"`
	Users      map[string]string   `json:"users"`
	Processes  map[string]*Process `json:"processes"`
	Proxies    []Proxy             `json:"proxies"`
	Backends   map[string]string   `json:"backends,omitempty"`
	Istiod     *Istiod             `json:"istiod,omitempty"`
	Registry   string              `json:"registry,omitempty"`
	// Namespace is the one that has the shop and its proxies.
	Namespace string `json:"namespace,omitempty"`
	// Netns is the network namespace of a node.
	Netns string `json:"netns,omitempty"`
	// Workers is how many worker threads each proxy has; Agent, whether an istio-agent runs it.
	Workers int  `json:"workers,omitempty"`
	Agent   bool `json:"agent,omitempty"`
	// Clock is the library of tests/clock, which is preloaded into each Envoy and reads NAME.clock in the bed's folder.
	Clock string `json:"clock,omitempty"`
	// Exports is the environment that `up` prints.
	Exports []Export `json:"exports"`
	// Node is what the node half alone has to remember, host settings among it.
	Node json.RawMessage `json:"node,omitempty"`

	// Boot tells the start of the machine from any other: no process outlives it.
	Boot string `json:"boot"`

	dir  string
	lock *os.File
	// saving lets processes be started side by side.
	saving sync.Mutex
	// ending is set when no more processes may be started.
	ending bool
}

// Proxy is one Envoy: where it takes traffic, and where its admin interface answers.
type Proxy struct {
	Name   string            `json:"name"`
	HTTP   string            `json:"http"`
	Admin  string            `json:"admin"`
	Labels map[string]string `json:"labels"`
}

// Istiod says where istiod answers.
type Istiod struct {
	HTTP string `json:"http"`
	GRPC string `json:"grpc"`
}

// Export is one variable of the environment that `up` prints.
type Export struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// path is a path inside the folder of the bed.
func (b *Bed) path(parts ...string) string {
	return filepath.Join(append([]string{b.dir}, parts...)...)
}

// save writes bed.json at one stroke.
func (b *Bed) save() error {
	b.saving.Lock()
	defer b.saving.Unlock()
	return b.saveHeld()
}

func (b *Bed) saveHeld() error {
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return fmt.Errorf("bed.json cannot be written: %w", err)
	}
	return writeFile(b.path("bed.json"), append(text, '\n'))
}

// writeFile replaces a file at one stroke. Only its owner may read it.
func writeFile(path string, text []byte) error {
	beside := path + ".new"
	if err := os.WriteFile(beside, text, 0o600); err != nil {
		return err
	}
	return os.Rename(beside, path)
}

// create makes a folder for a bed and locks it. The folder may be there, if it is empty.
func create(kind, dir string) (*Bed, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fail(environ, "the folder of the bed cannot be made: %v", err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	if err := foreign(dir); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	starter := identityOf(os.Getpid())
	bed := &Bed{Kind: kind, Starter: &starter, Boot: bootID(), Users: map[string]string{}, Processes: map[string]*Process{}, dir: dir, lock: lock}
	if err := bed.save(); err != nil {
		return nil, err
	}
	for _, folder := range []string{"logs", "bin", "tmp"} {
		if err := os.Mkdir(bed.path(folder), 0o700); err != nil {
			return nil, err
		}
	}
	return bed, nil
}

// foreign is an error where a folder has more in it than a bed has that was just begun.
func foreign(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if name := entry.Name(); name != "lock" && name != "bed.json.new" {
			return fail(badUse, "%s has files in it that are not a bed's; name an empty folder with --dir", dir)
		}
	}
	return nil
}

// open reads a bed and locks it; none when there is none.
func open(dir string) (*Bed, error) {
	if _, err := os.Stat(filepath.Join(dir, "lock")); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	lock, err := lockFolder(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	bed, err := read(dir)
	if errors.Is(err, fs.ErrNotExist) {
		// A crash came between the lock and the first line: nothing was started. Where more is there, the lock is somebody else's.
		if foreign(dir) == nil {
			os.Remove(filepath.Join(dir, "bed.json.new"))
			os.Remove(lock.Name())
			os.Remove(dir)
		}
		return nil, lock.Close()
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	bed.lock = lock
	return bed, nil
}

// openUnread opens, to be ended, a bed whose bed.json is no use any more: what it started carries its mark. Of what is not surely a bed
// the reason remains.
func openUnread(kind, dir string, reason error) (*Bed, error) {
	if _, err := os.Stat(filepath.Join(dir, "bin", "bed")); err != nil {
		return nil, reason
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, reason
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, errors.Join(reason, lock.Close())
	}
	say("%v; ending what bears the mark of this bed", reason)
	return &Bed{Kind: kind, dir: dir, lock: lock}, nil
}

// read reads a bed without locking it.
func read(dir string) (*Bed, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "bed.json"))
	if err != nil {
		return nil, err
	}
	bed := &Bed{dir: dir}
	if err := json.Unmarshal(text, bed); err != nil {
		return nil, fail(environ, "%s/bed.json cannot be read: %v", dir, err)
	}
	if boot := bootID(); bed.Boot != boot {
		bed.Boot, bed.Starter = boot, nil
		for _, process := range bed.Processes {
			process.Identity = Identity{}
		}
	}
	return bed, nil
}

// mustOpen reads a bed that has to be there.
func mustOpen(dir string) (*Bed, error) {
	bed, err := open(dir)
	if err == nil && bed == nil {
		return nil, fail(environ, "there is no bed in %s", dir)
	}
	return bed, err
}

// lockFolder waits until nobody else works on the folder.
func lockFolder(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	for {
		lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
			say("another command works on %s; waiting for it", dir)
			if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
				return nil, fmt.Errorf("%s cannot be locked: %w", path, err)
			}
		}
		// Whoever had the lock may have removed the folder meanwhile.
		held, errHeld := lock.Stat()
		now, errNow := os.Stat(path)
		if errHeld == nil && errNow == nil && os.SameFile(held, now) {
			return lock, nil
		}
		lock.Close()
		if _, err := os.Stat(dir); err != nil {
			return nil, err
		}
	}
}

// remove takes the folder away. Last go this program, by which a removal that was cut short is repeated, and the lock, so that nobody finds half a bed.
func (b *Bed) remove() error {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return err
	}
	var names []string
	for _, entry := range entries {
		if name := entry.Name(); name != "lock" && name != "bed.json" && name != "bin" {
			names = append(names, name)
		}
	}
	for _, name := range append(names, "bin") {
		if err := os.RemoveAll(b.path(name)); err != nil {
			return fail(environ, "what was started has ended, but %s cannot be removed: %v", b.path(name), err)
		}
	}
	for _, name := range []string{"bed.json", "lock", ""} {
		if err := os.Remove(b.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			// A folder that has become someone else's too stays.
			return nil
		}
	}
	return nil
}
