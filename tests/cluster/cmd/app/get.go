package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// get is for `kubectl exec`, in an image that has no curl: one line for each URL, with the status, who answered and the body.
func get(arguments []string, out io.Writer) error {
	flags := flag.NewFlagSet("get", flag.ContinueOnError)
	sent := http.Header{}
	flags.Func("header", "'NAME: VALUE', as often as needed", func(text string) error {
		name, value, found := strings.Cut(text, ":")
		if !found {
			return fmt.Errorf("%q has no colon", text)
		}
		sent.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		return nil
	})
	if err := flags.Parse(arguments); err != nil {
		return fmt.Errorf("%w; %w", err, errUsage)
	}
	if flags.NArg() == 0 {
		return fmt.Errorf("get needs a URL; %w", errUsage)
	}
	client := &http.Client{Timeout: 10 * time.Second}
	for _, address := range flags.Args() {
		request, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			return fmt.Errorf("no URL: %w", err)
		}
		request.Header = sent.Clone()
		request.Host = sent.Get("Host")
		answer, err := client.Do(request)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
		answer.Body.Close()
		if err != nil {
			return fmt.Errorf("%s ended early: %w", address, err)
		}
		fmt.Fprintln(out, answer.StatusCode, strings.TrimSpace(string(body)))
	}
	return nil
}
