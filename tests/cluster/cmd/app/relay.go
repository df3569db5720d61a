package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// relayReady is the one path that a relay answers itself: a probe must not depend on the service behind it.
const relayReady = "/relay/ready"

func relay(arguments []string) error {
	flags := flag.NewFlagSet("relay", flag.ContinueOnError)
	address := flags.String("listen", ":8080", "address to listen on")
	to := flags.String("to", "", "URL of the service")
	if err := flags.Parse(arguments); err != nil {
		return fmt.Errorf("%w; %w", err, errUsage)
	}
	target, err := url.Parse(*to)
	if err != nil || target.Scheme != "http" || target.Host == "" {
		return fmt.Errorf("--to is %q, and has to be a URL such as http://shop.shop/; %w", *to, errUsage)
	}
	return listen(*address, forward(target))
}

// forward sends each request to the target over connections that are kept, as a service does that calls another one. The host is
// the target's; method, path, query, headers and body are the caller's; what comes back goes back.
func forward(target *url.URL) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(request *httputil.ProxyRequest) { request.SetURL(target) },
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			MaxIdleConnsPerHost:   256,
			IdleConnTimeout:       5 * time.Minute,
			ResponseHeaderTimeout: 30 * time.Second,
			DisableCompression:    true,
		},
		FlushInterval: -1, // at once: what is passed on may be a stream
		ErrorHandler: func(answer http.ResponseWriter, _ *http.Request, err error) {
			http.Error(answer, "relay: "+err.Error(), http.StatusBadGateway)
		},
	}
	mux := http.NewServeMux()
	mux.HandleFunc(relayReady, func(answer http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(answer, "ready\n")
	})
	mux.Handle("/", proxy)
	return mux
}
