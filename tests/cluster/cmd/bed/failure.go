package main

import (
	"errors"
	"fmt"
	"os"
)

// What a failure exits with, as the scripts of this repository do it.
const (
	badUse      = 2
	environ     = 3
	cannotRun   = 75
	interrupted = 130
)

// failure is a sentence for a person, and the exit code that goes with it.
type failure struct {
	code int
	text string
}

func (f failure) Error() string { return f.text }

// fail makes a failure with a code of its own. Any other error exits with 1.
func fail(code int, format string, arguments ...any) error {
	return failure{code, fmt.Sprintf(format, arguments...)}
}

func exitCode(err error) int {
	if f, is := errors.AsType[failure](err); is {
		return f.code
	}
	return 1
}

// say tells a person what is being done. Standard output is for the environment alone.
func say(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
}
