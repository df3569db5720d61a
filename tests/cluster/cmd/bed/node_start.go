package main

import (
	"errors"
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
	say("starting the control plane and containerd")
	if err := n.together(
		n.startControlPlane,
		n.startRuntime,
		func() (err error) { manifests, err = n.istioManifests(); return err },
	); err != nil {
		return err
	}
	say("starting kubelet and Istio, and making images of Envoy and the application")
	if err := n.together(
		func() error { return n.start(n.kubelet()) },
		func() error { return n.start(n.kubeProxy()) },
		func() error { return n.start(n.coreDNS()) },
		func() error { return n.start(n.registry()) },
		func() error { return n.install(manifests) },
		func() error { return n.loadAll(n.otherImages()) },
	); err != nil {
		return err
	}
	n.bed.Exports = []Export{{"KUBECONFIG", n.bed.Kubeconfig}, {"CUTOVER_BED", n.bed.dir}, {"CUTOVER_REGISTRY", n.bed.Registry}}
	return nil
}

func (n *node) startControlPlane() error {
	// The API server waits for etcd by itself; what needs the API server does not.
	if err := n.together(
		func() error { return n.start(n.etcd()) },
		func() error { return n.start(n.apiServer()) },
	); err != nil {
		return err
	}
	return n.together(
		func() error { return n.start(n.controllerManager()) },
		func() error { return n.start(n.scheduler()) },
	)
}

// startRuntime starts containerd and gives it the images that istiod needs.
func (n *node) startRuntime() error {
	if err := n.start(n.containerd()); err != nil {
		return err
	}
	return n.loadAll(n.firstImages())
}

func (n *node) loadAll(images []nodeImage) error {
	for _, image := range images {
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
	if err := n.together(
		func() error { return n.bed.apply(manifests) },
		func() error {
			return n.bed.kubectl(nil, "apply", "--server-side", "--field-manager=bed", "-f", filepath.Join(n.crds, "crds", "gateway-api"))
		},
	); err != nil {
		return err
	}
	say("waiting for istiod")
	limit := "--timeout=" + patience.String()
	return n.together(
		func() error {
			err := n.bed.kubectl(nil, "--namespace=istio-system", "rollout", "status", "deployment/istiod", limit)
			if err != nil {
				return fmt.Errorf("%w\n%s", err, n.warnings())
			}
			return nil
		},
		func() error {
			return n.bed.kubectl(nil, "wait", "mutatingwebhookconfiguration/istio-sidecar-injector", "--for=jsonpath={.webhooks[0].clientConfig.caBundle}", limit)
		},
		func() error {
			// Istiod makes the class once it sees the Gateway API.
			if err := n.bed.kubectl(nil, "wait", "gatewayclass/istio", "--for=create", limit); err != nil {
				return err
			}
			return n.bed.kubectl(nil, "wait", "gatewayclass/istio", "--for=condition=Accepted", limit)
		},
	)
}

// warnings is what the cluster complains of.
func (n *node) warnings() string {
	text, err := asked(n.bed.program("kubectl"), n.bed.Kubeconfig, "get", "events", "--all-namespaces", "--field-selector=type=Warning",
		"--output=custom-columns=OBJECT:.involvedObject.name,MESSAGE:.message", "--no-headers")
	if err != nil {
		return err.Error()
	}
	return text
}

// together does all of it at once. With the first error it gives up: the processes are ended, and so all that waits for them ends soon.
func (n *node) together(tasks ...func() error) error {
	results := make(chan error, len(tasks))
	for _, task := range tasks {
		go func() { results <- task() }()
	}
	var first error
	for range tasks {
		if err := <-results; err != nil && first == nil {
			first = errors.Join(err, n.bed.giveUp())
		}
	}
	return first
}

// giveUp ends all processes of a bed that does not come up; no more are started.
func (b *Bed) giveUp() error {
	b.saving.Lock()
	b.ending = true
	b.saving.Unlock()
	return b.endAll()
}
