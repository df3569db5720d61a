package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// need is something that a cluster has to have for what is in istio/ to work, and how kubectl shows it.
type need struct {
	what     string
	ask      []string
	remedy   string
	optional bool
}

var needs = []need{
	{"Istio's resource definitions", []string{"get", "crd", "wasmplugins.extensions.istio.io", "virtualservices.networking.istio.io", "destinationrules.networking.istio.io", "peerauthentications.security.istio.io"},
		"install Istio: istioctl install --set profile=minimal", false},
	{"istiod that is available", []string{"wait", "deployment", "--all-namespaces", "--selector=app=istiod", "--for=condition=Available", "--timeout=5s"},
		"install Istio: istioctl install --set profile=minimal", false},
	{"the injector of sidecars", []string{"wait", "mutatingwebhookconfiguration", "--selector=app=sidecar-injector", "--for=jsonpath={.webhooks[0].clientConfig.caBundle}", "--timeout=5s"},
		"see whether istiod may write to its webhook configuration", false},
	{"TrafficExtension", []string{"get", "crd", "trafficextensions.extensions.istio.io"}, "Istio has it from 1.30 on; use WasmPlugin", true},
	{"the Gateway API (for istio/routes/colors)", []string{"get", "crd", "gateways.gateway.networking.k8s.io", "httproutes.gateway.networking.k8s.io"},
		"apply config/crd/standard of sigs.k8s.io/gateway-api, if wanted", true},
	{"the GatewayClass of Istio", []string{"wait", "gatewayclass/istio", "--for=condition=Accepted", "--timeout=5s"}, "istiod makes it once the Gateway API is there", true},
	{"the right to change plugins", []string{"auth", "can-i", "patch", "wasmplugins.extensions.istio.io", "--all-namespaces", "--quiet"},
		"istio/access has the roles", true},
}

// lookAt says what an existing cluster has of what is needed, and prints the environment to use it. It changes nothing there.
func lookAt(kubeconfig, kubectl string) error {
	kubeconfig, err := filepath.Abs(kubeconfig)
	if err != nil {
		return err
	}
	if _, err := os.Stat(kubeconfig); err != nil {
		return fail(badUse, "%v", err)
	}
	version, err := asked(kubectl, kubeconfig, "get", "--raw", "/version", "--request-timeout=10s")
	if err != nil {
		return fail(environ, "the cluster of %s does not answer: %v", kubeconfig, err)
	}
	if _, after, found := strings.Cut(version, `"gitVersion": "`); found {
		name, _, _ := strings.Cut(after, `"`)
		say("present: Kubernetes %s", name)
	}
	var missing []string
	for _, each := range needs {
		switch _, err := asked(kubectl, kubeconfig, each.ask...); {
		case err == nil:
			say("present: %s", each.what)
		case each.optional:
			say("missing: %s; %s", each.what, each.remedy)
		default:
			say("missing: %s", each.what)
			missing = append(missing, each.what+" ("+each.remedy+")")
		}
	}
	if len(missing) > 0 {
		return fail(environ, "the cluster of %s lacks: %s", kubeconfig, strings.Join(missing, ", "))
	}
	fmt.Printf("export KUBECONFIG=%s\n", quote(kubeconfig))
	return nil
}

// asked runs kubectl with the environment of whoever asks: credentials may come from a program that needs it.
func asked(kubectl, kubeconfig string, arguments ...string) (string, error) {
	limited, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	command := exec.CommandContext(limited, kubectl, append([]string{"--kubeconfig", kubeconfig}, arguments...)...)
	output, err := command.CombinedOutput()
	text := strings.TrimSpace(string(output))
	if err != nil {
		lines := strings.Split(text, "\n")
		return "", fail(environ, "%s", lines[len(lines)-1])
	}
	// `kubectl wait` with a selector that finds nothing succeeds, and says so.
	if strings.Contains(text, "no matching resources found") {
		return "", fail(environ, "%s", text)
	}
	return text, nil
}
