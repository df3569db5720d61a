package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// flags has --dir, the folder of a bed: by default the one in the environment, or the one that the user's folders have for it.
func flags(name, kind string) (*flag.FlagSet, *string) {
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	return set, set.String("dir", defaultFolder(kind), "the folder of the bed")
}

// given says which flags were named.
func given(set *flag.FlagSet) map[string]bool {
	names := map[string]bool{}
	set.Visit(func(each *flag.Flag) { names[each.Name] = true })
	return names
}

func defaultFolder(kind string) string {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, _ := os.UserHomeDir()
		state = filepath.Join(home, ".local/state")
	}
	return filepath.Join(state, "cutover", kind+"-bed")
}

// help says what may be said: for what people call by its script, where they read it.
func help(set *flag.FlagSet) string {
	switch name := set.Name(); name {
	case "istio-up", "cluster-up":
		return "scripts/" + name + " --help says what it takes"
	}
	return usage
}

// ended is the command that ends a bed of this kind.
func ended(set *flag.FlagSet, kind, dir string) string {
	down := "scripts/" + kind + "-down"
	if given(set)["dir"] {
		down += " --dir " + quote(dir)
	}
	return down
}

// parse reads flags and up to `names` words, in any order, and makes the folder an absolute one.
func parse(set *flag.FlagSet, dir *string, arguments []string, names int) ([]string, error) {
	var words []string
	for len(arguments) > 0 {
		if err := set.Parse(arguments); err != nil {
			return nil, fail(badUse, "%v\n%s", err, help(set))
		}
		if arguments = set.Args(); len(arguments) > 0 {
			words, arguments = append(words, arguments[0]), arguments[1:]
		}
	}
	if len(words) != names {
		return nil, fail(badUse, "%d names are wanted, not %q\n%s", names, words, help(set))
	}
	absolute, err := filepath.Abs(*dir)
	*dir = absolute
	return words, err
}

// current is the folder of the bed whose environment this is.
func current() string {
	if dir := os.Getenv("CUTOVER_BED"); dir != "" {
		return dir
	}
	return defaultFolder("istio")
}

// toEnd opens the bed that KIND-down is to end, and stops whoever still starts it; nil where there is none.
func toEnd(kind string, arguments []string) (*Bed, string, error) {
	set, dir := flags(kind+"-down", kind)
	if _, err := parse(set, dir, arguments, 0); err != nil {
		return nil, "", err
	}
	interruptStarter(*dir)
	bed, err := open(*dir)
	if err != nil {
		bed, err = openUnread(kind, *dir, err)
	}
	if err == nil && bed != nil && bed.Kind != kind {
		err = fail(badUse, "%s has a bed of another kind", *dir)
	}
	return bed, *dir, err
}

// stopOne ends one process of a bed, politely or with --kill.
func stopOne(arguments []string) error {
	set, dir := flags("stop", "istio")
	*dir = current()
	kill := set.Bool("kill", false, "kill it")
	words, err := parse(set, dir, arguments, 1)
	if err != nil {
		return err
	}
	bed, process, err := find(*dir, words[0])
	if err != nil {
		return err
	}
	if err := bed.stop(process, *kill); err != nil {
		return err
	}
	process.Identity = Identity{}
	return bed.save()
}

// startOne starts a process that has ended: the same command, the same ports.
func startOne(arguments []string) error {
	set, dir := flags("start", "istio")
	*dir = current()
	words, err := parse(set, dir, arguments, 1)
	if err != nil {
		return err
	}
	bed, process, err := find(*dir, words[0])
	if err != nil {
		return err
	}
	if process.alive() {
		say("%s runs already", words[0])
		return nil
	}
	return bed.restart(words[0])
}

// restart starts a process again, and waits until it is up.
func (b *Bed) restart(name string) error {
	process := b.Processes[name]
	// It may have been killed, and what it had started may run on.
	if err := b.stop(process, true); err != nil {
		return err
	}
	if err := b.spawn(name, process); err != nil {
		return err
	}
	return b.awaitReady(name)
}

func find(dir, name string) (*Bed, *Process, error) {
	bed, err := mustOpen(dir)
	if err != nil {
		return nil, nil, err
	}
	process, is := bed.Processes[name]
	if !is {
		names := make([]string, 0, len(bed.Processes))
		for each := range bed.Processes {
			names = append(names, each)
		}
		slices.Sort(names)
		return nil, nil, fail(badUse, "no process of the bed is called %s; there are: %s", name, strings.Join(names, " "))
	}
	return bed, process, nil
}

// environment prints what `up` printed.
func environment(arguments []string) error {
	set, dir := flags("environment", "istio")
	*dir = current()
	if _, err := parse(set, dir, arguments, 0); err != nil {
		return err
	}
	bed, err := mustOpen(*dir)
	if err != nil {
		return err
	}
	bed.printExports()
	return nil
}

// printExports prints the lines that a shell takes by `eval`.
func (b *Bed) printExports() {
	exports := b.Exports
	// After all others: who has a kubectl of their own keeps it.
	if path := os.Getenv("PATH"); !slices.Contains(filepath.SplitList(path), b.path("bin")) {
		exports = append(slices.Clone(exports), Export{"PATH", path + ":" + b.path("bin")})
	}
	for _, each := range exports {
		fmt.Printf("export %s=%s\n", each.Name, quote(each.Value))
	}
}

// quote makes one word of a shell's out of anything.
func quote(text string) string {
	plain := func(r rune) bool {
		return !strings.ContainsRune("@%+=:,./-_", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	if text != "" && strings.IndexFunc(text, plain) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

func itoa(number uintptr) string { return strconv.FormatUint(uint64(number), 10) }
