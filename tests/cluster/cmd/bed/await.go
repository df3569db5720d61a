package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// patience is how long a process may take until it is up: a machine may be busy with other things.
const patience = 5 * time.Minute

// await asks again until there is no error any more, and returns the last one when the time is over.
func await(limit time.Duration, condition func() error) error {
	for deadline := time.Now().Add(limit); ; {
		err := condition()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// asker never goes through a proxy of the user's, and keeps no connection.
var asker = newAsker(nil)

func newAsker(trusted *x509.CertPool) *http.Client {
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: trusted}}}
}

// answers is nil once the URL answers 200, with a certificate of the bed's own authority if it is a server with one.
func (b *Bed) answers(url string) error {
	client := asker
	if strings.HasPrefix(url, "https:") {
		authority, err := os.ReadFile(b.path("pki/ca.crt"))
		if err != nil {
			return err
		}
		trusted := x509.NewCertPool()
		trusted.AppendCertsFromPEM(authority)
		client = newAsker(trusted)
	}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 300))
		return fmt.Errorf("%s answers %d: %s", url, response.StatusCode, strings.TrimSpace(string(text)))
	}
	return nil
}

// awaitReady waits until a process is up, and says what it wrote last when it is not.
func (b *Bed) awaitReady(name string) error {
	b.saving.Lock()
	process := b.Processes[name]
	b.saving.Unlock()
	var ended error
	err := await(patience, func() error {
		if !process.alive() {
			ended = errors.New("it has ended")
			return nil
		}
		if network, address, _ := strings.Cut(process.Ready, ":"); network == "tcp" || network == "unix" {
			connection, err := net.DialTimeout(network, address, time.Second)
			if err == nil {
				connection.Close()
			}
			return err
		}
		return b.answers(process.Ready)
	})
	if err = errors.Join(ended, err); err != nil {
		return fmt.Errorf("%s is not up: %w\n%s", name, err, lastLines(process.Log, 12))
	}
	return nil
}

// lastLines is the end of a log.
func lastLines(path string, count int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}
