package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// nodeOrder lists what runs on a node as the parts need each other.
var nodeOrder = []string{"etcd", "apiserver", "controller-manager", "scheduler", "containerd", "coredns", "registry", "kubelet", "kube-proxy"}

// startAll starts a node. Two chains run side by side, and meet where the first pod is wanted.
func (n *node) startAll() error {
	if err := n.prepare(); err != nil {
		return err
	}
	if err := n.certify(); err != nil {
		return err
	}
	var manifests []byte
	say("starting the control plane, and making images of Envoy, Istio and the application")
	if err := together(
		n.startControlPlane,
		n.startRuntime,
		func() (err error) { manifests, err = n.istioManifests(); return err },
	); err != nil {
		return err
	}
	say("starting kubelet and Istio")
	if err := together(
		func() error { return n.start(n.kubelet()) },
		func() error { return n.start(n.kubeProxy()) },
		func() error { return n.start(n.coreDNS()) },
		func() error { return n.start(n.registry()) },
		func() error { return n.install(manifests) },
	); err != nil {
		return err
	}
	n.bed.Exports = []Export{{"KUBECONFIG", n.bed.Kubeconfig}, {"CUTOVER_BED", n.bed.dir}, {"CUTOVER_REGISTRY", n.bed.Registry}}
	return nil
}

func (n *node) startControlPlane() error {
	// The API server waits for etcd by itself; what needs the API server does not.
	if err := together(
		func() error { return n.start(n.etcd()) },
		func() error { return n.start(n.apiServer()) },
	); err != nil {
		return err
	}
	return together(
		func() error { return n.start(n.controllerManager()) },
		func() error { return n.start(n.scheduler()) },
	)
}

// startRuntime starts containerd and gives it the images.
func (n *node) startRuntime() error {
	if err := n.start(n.containerd()); err != nil {
		return err
	}
	for _, image := range n.images() {
		if err := n.load(image); err != nil {
			return err
		}
	}
	return nil
}

// istioManifests lets istioctl say what an installation consists of. It needs no cluster for that.
func (n *node) istioManifests() ([]byte, error) {
	command := exec.Command(n.bed.program("istioctl"), "manifest", "generate", "--filename", n.bed.path("node", "istio.yaml"))
	command.Dir, command.Env = n.bed.path("tmp"), n.bed.environ(nil)
	log, err := os.Create(n.bed.path("logs", "istioctl.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command.Stderr = log
	manifests, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("istioctl does not say what to install: %w\n%s", err, lastLines(log.Name(), 5))
	}
	return manifests, nil
}

// install applies Istio and the Gateway API, and waits until pods get sidecars and gateways get pods.
func (n *node) install(manifests []byte) error {
	if err := n.bed.kubectl(nil, "create", "namespace", "istio-system"); err != nil {
		return err
	}
	if err := together(
		func() error { return n.bed.apply(manifests) },
		func() error {
			return n.bed.kubectl(nil, "apply", "--server-side", "--field-manager=bed", "-f", filepath.Join(n.crds, "crds", "gateway-api"))
		},
	); err != nil {
		return err
	}
	say("waiting for istiod")
	limit := "--timeout=" + patience.String()
	return together(
		func() error {
			return n.bed.kubectl(nil, "--namespace=istio-system", "rollout", "status", "deployment/istiod", limit)
		},
		func() error {
			return n.bed.kubectl(nil, "wait", "mutatingwebhookconfiguration/istio-sidecar-injector", "--for=jsonpath={.webhooks[0].clientConfig.caBundle}", limit)
		},
		func() error {
			// Istiod makes the class once it sees the Gateway API, and `kubectl wait` does not wait for what is not there.
			return await(patience, func() error {
				return n.bed.kubectl(nil, "wait", "gatewayclass/istio", "--for=condition=Accepted", limit)
			})
		},
	)
}

// together does all of it at once, and returns the first error without waiting for the rest.
func together(tasks ...func() error) error {
	results := make(chan error, len(tasks))
	for _, task := range tasks {
		go func() { results <- task() }()
	}
	for range tasks {
		if err := <-results; err != nil {
			return err
		}
	}
	return nil
}
