package main

import (
	"flag"
	"fmt"
	"net/http"
)

// The headers by which the harness knows who answered, and what that one had been told.
const (
	headerColor    = "X-Backend-Color"
	headerBuild    = "X-Backend-Build"
	headerDecision = "X-Backend-Decision"
	headerTold     = "X-Cutover-Decision"
)

func serve(arguments []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	address := flags.String("listen", ":8080", "address to listen on")
	color := flags.String("color", "", "blue or green")
	build := flags.String("build", "v1", "what else to say in the answer")
	if err := flags.Parse(arguments); err != nil {
		return fmt.Errorf("%w; %w", err, errUsage)
	}
	if *color != "blue" && *color != "green" {
		return fmt.Errorf("--color is %q, and has to be blue or green; %w", *color, errUsage)
	}
	return listen(*address, shop(*color, *build))
}

// shop answers every path with the color, and repeats the decision that the request carries.
func shop(color, build string) http.Handler {
	body := []byte(color + " " + build + "\n")
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		headers := answer.Header()
		headers.Set(headerColor, color)
		headers.Set(headerBuild, build)
		if told := request.Header.Get(headerTold); told != "" {
			headers.Set(headerDecision, told)
		}
		headers.Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = answer.Write(body) // the client has gone: nobody is left to tell
	})
}
