// Command app is the program inside the pods of the test beds: a service of one color, the client that calls it, and what holds a pod's
// namespaces. It is one static binary, so that an image of it needs nothing else.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const usage = `usage:
  app serve --listen ADDRESS --color blue|green [--build ID]   answer every request with the color
  app relay --listen ADDRESS --to URL                          send every request on to URL
  app get [--header 'NAME: VALUE'] URL...                      request each URL and print what came back
  app pause                                                    wait for the end, and reap what is orphaned`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		if errors.Is(err, errUsage) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

// errUsage is in the chain of every error that comes from the arguments.
var errUsage = errors.New(usage)

func run(arguments []string) error {
	if len(arguments) == 0 {
		return errUsage
	}
	switch command, rest := arguments[0], arguments[1:]; command {
	case "serve":
		return serve(rest)
	case "relay":
		return relay(rest)
	case "get":
		return get(rest, os.Stdout)
	case "pause":
		return pause()
	default:
		return fmt.Errorf("no command is called %q; %w", command, errUsage)
	}
}

// listen serves until SIGTERM or SIGINT, then lets the requests that are under way end.
func listen(address string, handler http.Handler) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	fmt.Println("listening on", listener.Addr())
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: handler, Protocols: &protocols, ReadHeaderTimeout: time.Minute}
	ends, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	done := make(chan error, 1)
	go func() {
		<-ends.Done()
		patience, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		done <- server.Shutdown(patience)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-done
}
