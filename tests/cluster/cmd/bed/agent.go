package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// agentData is where an agent keeps the modules that it pulled: it cannot be told another place.
const agentData = "/var/lib/istio/data"

// startAgent starts an istio-agent, which starts an Envoy, asks istiod on its behalf, and pulls modules from the registry.
func (b *Bed) startAgent(proxy Proxy, number int) error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	folder := b.path(proxy.Name)
	data := folder + "/data"
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	// It does not start without an authority's certificate in the folder where it runs. There is nothing for it to check.
	if err := os.MkdirAll(folder+"/var/run/secrets/istio", 0o700); err != nil {
		return err
	}
	if err := os.Symlink(b.path("pki/ca.crt"), folder+"/var/run/secrets/istio/root-cert.pem"); err != nil {
		return err
	}
	labels, err := json.Marshal(proxy.Labels)
	if err != nil {
		return err
	}
	template, err := b.agentTemplate()
	if err != nil {
		return err
	}
	settings, err := json.Marshal(map[string]any{
		"discoveryAddress": b.Istiod.GRPC, "controlPlaneAuthPolicy": "NONE", "binaryPath": b.Envoy, "configPath": "config",
		"proxyAdminPort": portNumber(port(proxy.Admin)), "statusPort": ports[2], "concurrency": b.Workers, "terminationDrainDuration": "1s",
	})
	if err != nil {
		return err
	}
	return b.spawn(proxy.Name, &Process{
		Command: []string{b.program("pilot-agent"), "proxy", "router", "--domain", b.Namespace + ".svc.cluster.local", "--templateFile", template},
		Environment: map[string]string{
			"PROXY_CONFIG": string(settings), "POD_NAME": proxy.Name, "POD_NAMESPACE": b.Namespace, "INSTANCE_IP": nodeAddress(number),
			"ISTIO_META_CLUSTER_ID": "Kubernetes", "ISTIO_METAJSON_LABELS": string(labels), "ISTIO_META_ISTIO_VERSION": istioVersion,
			"ENVOY_PROMETHEUS_PORT": strconv.Itoa(ports[0]), "ENVOY_STATUS_PORT": strconv.Itoa(ports[1]),
			"WASM_INSECURE_REGISTRIES": b.Registry,
			// Otherwise it asks the network in which cloud it is.
			"CLOUD_PLATFORM": "none",
		},
		Folders:   map[string]string{agentData: data},
		Directory: folder,
		Ready:     "http://" + proxy.Admin + "/ready",
	})
}

// agentTemplate is the bootstrap that comes with Istio, but that it listens on this machine only.
func (b *Bed) agentTemplate() (string, error) {
	text, err := os.ReadFile(filepath.Join(filepath.Dir(b.Programs), "envoy_bootstrap.json"))
	if err != nil {
		return "", fail(environ, "the bootstrap of istio-agent is missing: %v", err)
	}
	path := b.path("envoy_bootstrap.json")
	return path, writeFile(path, bytes.ReplaceAll(text, []byte("{{ .wildcard }}"), []byte("{{ .localhost }}")))
}

func portNumber(text string) int {
	number, err := strconv.Atoi(text)
	if err != nil {
		panic(fmt.Sprintf("%q is no port", text))
	}
	return number
}
