package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// kubectl runs it as the administrator.
func (b *Bed) kubectl(input []byte, arguments ...string) error {
	limited, cancel := context.WithTimeout(context.Background(), patience+10*time.Second)
	defer cancel()
	command := exec.CommandContext(limited, b.program("kubectl"), append([]string{"--kubeconfig", b.Kubeconfig}, arguments...)...)
	command.Stdin = bytes.NewReader(input)
	command.Dir = b.path("tmp")
	command.Env = b.environ(nil)
	// What it did is of no interest; what it could not do is.
	var complaint bytes.Buffer
	command.Stderr = &complaint
	err := command.Run()
	if limited.Err() != nil {
		err = fmt.Errorf("it has not ended after %v", patience)
	}
	if err != nil {
		return fmt.Errorf("kubectl %s failed: %w\n%s", strings.Join(arguments, " "), err, &complaint)
	}
	return nil
}

// apply applies a text.
func (b *Bed) apply(text []byte) error {
	return b.kubectl(text, "apply", "--server-side", "--field-manager=bed", "--force-conflicts", "-f", "-")
}
