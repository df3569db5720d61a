package main

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// ending has the signals that ask this program to end.
var ending = make(chan os.Signal, 2)

// holdSignals keeps them until someone looks: from the first file on there is something to clear up.
func holdSignals() { signal.Notify(ending, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP) }

// bringUp starts a bed. When that fails, or someone ends it in the middle, nothing is left behind.
func (b *Bed) bringUp(start func() error, undo func() error) error {
	holdSignals()
	defer signal.Stop(ending)
	done := make(chan error, 1)
	go func() { done <- start() }()
	var err error
	select {
	case err = <-done:
		if err == nil {
			b.Ready, b.Starter = true, nil
			return b.save()
		}
	case <-ending:
		// What it waits for ends, and so does it.
		if err := b.giveUp(); err != nil {
			return err
		}
		<-done
		err = fail(interrupted, "interrupted; nothing is left behind")
	}
	return errors.Join(err, undo())
}

// tearDown ends everything and removes the folder.
func (b *Bed) tearDown() error {
	if err := b.endAll(); err != nil {
		return err
	}
	return b.remove()
}

// leftover opens the bed of an `up` that was asked for again: none when there is none, or only what a killed `up` left, which is ended.
func leftover(dir string, undo func(*Bed) error) (*Bed, error) {
	bed, err := open(dir)
	if err != nil || bed == nil || bed.Ready {
		return bed, err
	}
	say("an earlier start was cut short; ending what it left behind")
	return nil, errors.Join(undo(bed), bed.lock.Close())
}

// interruptStarter tells an `up` that is still at work to end; it clears up by itself.
func interruptStarter(dir string) {
	if bed, err := read(dir); err == nil && bed.Starter != nil && bed.Starter.alive() {
		syscall.Kill(bed.Starter.PID, syscall.SIGTERM)
	}
}

// bootID is another one each time that the machine starts.
func bootID() string {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text))
}

// keepOwn copies this program, and others beside it, into the bed, which then no longer depends on the checkout.
func (b *Bed) keepOwn(from string, names ...string) error {
	for _, name := range names {
		source, err := os.Open(from + "/" + name)
		if err != nil {
			return fail(environ, "a program of the bed is missing: %v", err)
		}
		defer source.Close()
		copied, err := os.OpenFile(b.own(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o700)
		if err != nil {
			return err
		}
		_, err = io.Copy(copied, source)
		if err = errors.Join(err, copied.Close()); err != nil {
			return err
		}
	}
	return nil
}
