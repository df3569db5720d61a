package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// istioVersion is what proxies say that they are: what istiod sends depends on it.
const istioVersion = "1.31.0"

// planProxies gives the next proxies their names and ports. They come after all that are there.
func (b *Bed) planProxies(count int) ([]Proxy, error) {
	ports, err := freePorts(2 * count)
	if err != nil {
		return nil, err
	}
	var planned []Proxy
	for i := range count {
		name := fmt.Sprintf("proxy-%d", len(b.Proxies)+i)
		planned = append(planned, Proxy{
			Name: name, HTTP: local(ports[2*i]), Admin: local(ports[2*i+1]),
			Labels: map[string]string{"istio": "ingressgateway", "proxy": name},
		})
	}
	return planned, nil
}

// gateways is the text of the Gateways of proxies.
func (b *Bed) gateways(proxies []Proxy) ([]byte, error) {
	var all []byte
	for _, proxy := range proxies {
		text, err := fill("gateway.yaml", map[string]any{"Name": proxy.Name, "Namespace": b.Namespace, "Port": port(proxy.HTTP)})
		if err != nil {
			return nil, err
		}
		all = append(all, text...)
	}
	return all, nil
}

// startProxies starts proxies side by side, waits until the shop answers through each, and adds them to the bed.
func (b *Bed) startProxies(proxies []Proxy) error {
	for i, proxy := range proxies {
		start := b.startEnvoy
		if b.Agent {
			start = b.startAgent
		}
		if err := start(proxy, len(b.Proxies)+i); err != nil {
			return err
		}
	}
	failures := make([]error, len(proxies))
	var waiting sync.WaitGroup
	for i, proxy := range proxies {
		waiting.Go(func() { failures[i] = b.awaitShop(proxy) })
	}
	waiting.Wait()
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	b.Proxies = append(b.Proxies, proxies...)
	return nil
}

// startEnvoy starts a stock Envoy that asks istiod itself.
func (b *Bed) startEnvoy(proxy Proxy, number int) error {
	labels, err := json.Marshal(proxy.Labels)
	if err != nil {
		return err
	}
	text, err := fill("bootstrap.yaml", map[string]any{
		"IP": nodeAddress(number), "Name": proxy.Name, "Namespace": b.Namespace, "Labels": string(labels), "IstioVersion": istioVersion,
		"AdminPort": port(proxy.Admin), "IstiodPort": port(b.Istiod.GRPC),
	})
	if err != nil {
		return err
	}
	file := b.path(proxy.Name + ".yaml")
	if err := writeFile(file, text); err != nil {
		return err
	}
	environment, err := b.clockOf(proxy)
	if err != nil {
		return err
	}
	return b.spawn(proxy.Name, &Process{
		Environment: environment,
		// An Envoy that may be restarted while it runs ends with the thread that started it.
		Command: []string{b.Envoy, "--config-path", file, "--disable-hot-restart", "--concurrency", strconv.Itoa(b.Workers), "--log-level", "warning"},
		Ready:   "http://" + proxy.Admin + "/ready",
	})
}

// clockOf gives a proxy a wall clock of its own, right until somebody writes its file: three 64-bit integers.
func (b *Bed) clockOf(proxy Proxy) (map[string]string, error) {
	if b.Clock == "" {
		return nil, nil
	}
	file := b.path(proxy.Name + ".clock")
	return map[string]string{"LD_PRELOAD": b.Clock, "CUTOVER_CLOCK": file}, writeFile(file, make([]byte, 24))
}

// nodeAddress is an address that no endpoint has, for the proxy of this number.
func nodeAddress(number int) string { return fmt.Sprintf("127.1.%d.%d", number/250, number%250+1) }

// awaitShop waits until the shop answers through a proxy.
func (b *Bed) awaitShop(proxy Proxy) error {
	if err := b.awaitReady(proxy.Name); err != nil {
		return err
	}
	err := await(patience, func() error {
		if !b.Processes[proxy.Name].alive() {
			return nil
		}
		request, err := http.NewRequest(http.MethodGet, "http://"+proxy.HTTP+"/", nil)
		if err != nil {
			return err
		}
		request.Host = "shop.example"
		response, err := asker.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK || response.Header.Get("x-backend-color") == "" {
			return fmt.Errorf("it answers %d", response.StatusCode)
		}
		return nil
	})
	if err == nil && !b.Processes[proxy.Name].alive() {
		err = errors.New("it has ended")
	}
	if err != nil {
		return fmt.Errorf("the shop does not answer through %s: %w\n%s", proxy.Name, err, lastLines(b.Processes[proxy.Name].Log, 12))
	}
	return nil
}

// port is the port of an address.
func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
