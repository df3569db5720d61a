package main

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// pause is the first process of a pod's sandbox: it holds the namespaces, and inherits what others leave behind.
func pause() error {
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, syscall.SIGTERM, os.Interrupt)
	orphans := make(chan os.Signal, 1)
	signal.Notify(orphans, syscall.SIGCHLD)
	for {
		select {
		case <-ends:
			return nil
		case <-orphans:
			reap()
		}
	}
}

// reap waits for each child that has ended. SIGCHLD says that there is one at least, not how many.
func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if pid <= 0 || err != nil {
			return
		}
	}
}
