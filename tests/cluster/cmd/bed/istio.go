package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// istioUp starts the control-plane bed: API server, istiod, and proxies on loopback.
func istioUp(arguments []string) error {
	set, dir := flags("istio-up", "istio")
	programs := set.String("bin", "", "the folder of scripts/get-cluster")
	envoy := set.String("envoy", "", "Envoy")
	checkout := set.String("checkout", "", "this repository")
	proxies := set.Int("proxies", 2, "how many proxies")
	workers := set.Int("workers", 2, "how many worker threads each has")
	agent := set.Bool("agent", false, "let istio-agent run each proxy")
	clock := set.String("clock", "", "the library that makes an Envoy's clock wrong (scripts/get-clock)")
	add := set.Bool("add-proxy", false, "add one proxy to a bed that is up")
	if _, err := parse(set, dir, arguments, 0); err != nil {
		return err
	}
	if *proxies < 1 || *proxies > 200 {
		return fail(badUse, "--proxies must be 1 to 200, not %d", *proxies)
	}
	if *workers < 1 || *workers > 64 {
		return fail(badUse, "--workers must be 1 to 64, not %d", *workers)
	}
	if *clock != "" && *agent {
		return fail(badUse, "--clock is for Envoys that no agent starts")
	}
	given := given(set)
	bed, err := leftover(*dir, (*Bed).tearDown)
	if err != nil {
		return err
	}
	switch {
	case *add:
		return addProxy([]string{"--dir", *dir})
	case bed != nil:
		if bed.Kind != "istio" {
			return fail(badUse, "%s has a bed of another kind", *dir)
		}
		if given["agent"] && *agent != bed.Agent || given["workers"] && *workers != bed.Workers {
			return fail(badUse, "the bed in %s is up with other proxies (%s); end it first, or name another folder with --dir", *dir, bed.proxyKind())
		}
		return bed.again(*proxies, given["proxies"])
	}
	holdSignals()
	bed, err = create("istio", *dir)
	if err != nil {
		return err
	}
	bed.Programs, bed.Envoy, bed.Checkout, bed.Workers, bed.Agent, bed.Clock = *programs, *envoy, *checkout, *workers, *agent, *clock
	began := time.Now()
	if err := bed.bringUp(func() error { return bed.startControlPlane(*proxies) }, bed.tearDown); err != nil {
		return err
	}
	say("up after %.0f s: %s, API server and istiod; ended by %s", time.Since(began).Seconds(), bed.proxyKind(), ended(set, "istio", *dir))
	bed.printExports()
	return nil
}

func (b *Bed) proxyKind() string {
	what := "Envoy"
	if b.Agent {
		what = "istio-agent with Envoy"
	}
	return fmt.Sprintf("%d × %s, %d worker threads each", len(b.Proxies), what, b.Workers)
}

// startControlPlane starts all of the bed.
func (b *Bed) startControlPlane(proxies int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := b.keepOwn(filepath.Dir(self), "bed", "app"); err != nil {
		return err
	}
	// For whoever has none of these.
	for _, name := range []string{"kubectl", "istioctl", "crane", "helm"} {
		if err := os.Symlink(b.program(name), b.own(name)); err != nil {
			return err
		}
	}
	b.Namespace = "shop"
	if b.Agent {
		if err := canMask(map[string]string{agentData: b.path("tmp")}); err != nil {
			return err
		}
	}
	say("starting etcd and the API server")
	beside := make(chan error, 1)
	go func() {
		err := b.startBackends()
		if err == nil && b.Agent {
			err = b.startRegistry()
		}
		beside <- err
	}()
	if err := errors.Join(b.startAPIServer(), <-beside); err != nil {
		return err
	}
	say("applying the resource definitions of Istio and of the Gateway API, and the shop")
	above := filepath.Dir(b.Programs)
	err = b.kubectl(nil, "apply", "--server-side", "--validate=false", "--field-manager=bed", "-f", above+"/crds/istio.yaml", "-f", above+"/crds/gateway-api")
	if err != nil {
		return err
	}
	err = b.kubectl(nil, "wait", "--for=condition=Established", "--timeout=30s", "-f", above+"/crds/istio.yaml")
	if err != nil {
		return err
	}
	if err := b.kubectl(nil, "create", "namespace", "istio-system"); err != nil {
		return err
	}
	planned, err := b.planProxies(proxies)
	if err != nil {
		return err
	}
	if err := b.applyShop(planned); err != nil {
		return err
	}
	say("starting istiod")
	if err := b.startIstiod(); err != nil {
		return err
	}
	say("starting %d proxies", proxies)
	if err := b.startProxies(planned); err != nil {
		return err
	}
	b.setExports()
	return nil
}

// applyShop applies what is switched here, and a Gateway for each proxy.
func (b *Bed) applyShop(proxies []Proxy) error {
	names := make([]string, 0, len(proxies))
	for _, proxy := range proxies {
		names = append(names, proxy.Name)
	}
	shop, err := fill("shop.yaml", map[string]any{
		"Namespace": b.Namespace, "Blue": port(b.Backends["blue"]), "Green": port(b.Backends["green"]), "Gateways": strings.Join(names, ", "),
	})
	if err != nil {
		return err
	}
	gateways, err := b.gateways(proxies)
	if err != nil {
		return err
	}
	return b.apply(append(shop, gateways...))
}

func (b *Bed) setExports() {
	var admins, urls []string
	for _, proxy := range b.Proxies {
		admins, urls = append(admins, proxy.Admin), append(urls, "http://"+proxy.HTTP)
	}
	b.Exports = []Export{
		{"KUBECONFIG", b.Kubeconfig}, {"CUTOVER_BED", b.dir},
		{"CUTOVER_ADMIN", strings.Join(admins, ",")}, {"CUTOVER_URLS", strings.Join(urls, ",")},
	}
	if b.Registry != "" {
		b.Exports = append(b.Exports, Export{"CUTOVER_REGISTRY", b.Registry})
	}
}

// again answers an `up` on a bed that is up: what has ended is started again, and proxies that are wanted too are added.
func (b *Bed) again(proxies int, asked bool) error {
	say("the bed in %s is up already", b.dir)
	for _, name := range b.inOrder() {
		if !b.Processes[name].alive() {
			say("%s has ended; starting it again", name)
			if err := b.restart(name); err != nil {
				return err
			}
		}
	}
	if more := proxies - len(b.Proxies); asked && more > 0 {
		if err := b.addProxies(more); err != nil {
			return err
		}
	} else if asked && more < 0 {
		say("it has %d proxies, and keeps them", len(b.Proxies))
	}
	b.printExports()
	return nil
}

// inOrder lists the processes as they need each other.
func (b *Bed) inOrder() []string {
	var order []string
	for _, name := range []string{"etcd", "apiserver", "registry", "blue", "green", "istiod"} {
		if _, is := b.Processes[name]; is {
			order = append(order, name)
		}
	}
	for _, proxy := range b.Proxies {
		order = append(order, proxy.Name)
	}
	return order
}

// addProxy adds one to a bed that is up.
func addProxy(arguments []string) error {
	set, dir := flags("add-proxy", "istio")
	*dir = current()
	if _, err := parse(set, dir, arguments, 0); err != nil {
		return err
	}
	bed, err := mustOpen(*dir)
	if err != nil {
		return err
	}
	if err := bed.addProxies(1); err != nil {
		return err
	}
	bed.printExports()
	return nil
}

func (b *Bed) addProxies(count int) error {
	planned, err := b.planProxies(count)
	if err != nil {
		return err
	}
	gateways, err := b.gateways(planned)
	if err != nil {
		return err
	}
	if err := b.apply(gateways); err != nil {
		return err
	}
	var patch []string
	for _, proxy := range planned {
		patch = append(patch, fmt.Sprintf(`{"op": "add", "path": "/spec/gateways/-", "value": %q}`, proxy.Name))
	}
	// Only the list grows: someone may be trying other routes.
	err = b.kubectl(nil, "--namespace", b.Namespace, "patch", "virtualservice", "shop", "--type=json", "--patch", "["+strings.Join(patch, ",")+"]")
	if err != nil {
		return err
	}
	if err := b.startProxies(planned); err != nil {
		return err
	}
	b.setExports()
	say("%s is up", planned[len(planned)-1].Name)
	return b.save()
}

// istioDown ends the bed, and whatever a crash has left of it.
func istioDown(arguments []string) error {
	bed, dir, err := toEnd("istio", arguments)
	if err != nil {
		return err
	}
	if bed == nil {
		say("there is no bed in %s", dir)
		if other, err := read(current()); err == nil && other.Kind == "istio" {
			say("the environment names another, which runs on: scripts/istio-down --dir %s", quote(other.dir))
		}
		return nil
	}
	return bed.tearDown()
}
