// Bed starts and ends the test beds of this repository: real control planes, and a whole node, on one machine.
//
// It is run by scripts/istio-up, scripts/cluster-up and their kin, which say where the programs are that it starts.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

// verbs says which function answers which first argument.
var verbs = map[string]func(arguments []string) error{
	"istio-up":     istioUp,
	"istio-down":   istioDown,
	"add-proxy":    addProxy,
	"cluster-up":   clusterUp,
	"cluster-down": clusterDown,
	"stop":         stopOne,
	"start":        startOne,
	"environment":  environment,
	"masked":       masked,
	"hold":         hold,
	"runc":         runc,
	"image":        writeImage,
}

const usage = `usage: bed VERB [--dir DIR] …
  istio-up --bin DIR --envoy FILE [--proxies N] [--workers N] [--agent]   starts the control-plane bed
  add-proxy                    starts one more proxy in it
  stop NAME [--kill]           ends one process of a bed; it keeps its ports
  start NAME                   starts it again: the same command, the same ports
  environment                  prints what "up" printed
  istio-down                   ends all that was started, and removes the folder
  cluster-up --bin DIR --envoy FILE [--iptables DIR]   starts a whole node
  cluster-up --bin DIR --kubeconfig FILE               looks at an existing cluster instead
  cluster-down                 ends the node, and removes the folder
  image                        writes the image of the application, to be loaded into another cluster`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	verb, known := verbs[os.Args[1]]
	if !known {
		fmt.Fprintf(os.Stderr, "bed: no verb is called %s\n%s\n", os.Args[1], usage)
		os.Exit(2)
	}
	err := verb(os.Args[2:])
	if err == nil {
		return
	}
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
	os.Exit(exitCode(err))
}
