package main

import (
	"fmt"
)

// mesh is what istiod is told about the mesh: there are no certificates in it.
const mesh = "enableAutoMtls: false\nenableTracing: false\naccessLogFile: \"\"\ndefaultConfig: {}\n"

// startAPIServer starts etcd and kube-apiserver on loopback, and writes the users' kubeconfigs.
func (b *Bed) startAPIServer() error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	client, peer := "http://"+local(ports[0]), "http://"+local(ports[1])
	err = b.spawn("etcd", &Process{
		Command: []string{b.program("etcd"), "--name=bed", "--data-dir=" + b.path("etcd"), "--unsafe-no-fsync", "--log-level=warn",
			"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=bed=" + peer},
		Ready: client + "/readyz",
	})
	if err != nil {
		return err
	}
	authority, err := newAuthority(b.path("pki"))
	if err != nil {
		return err
	}
	if err := authority.sign(b.path("pki/apiserver"), "kube-apiserver", nil, []string{"localhost", "127.0.0.1"}); err != nil {
		return err
	}
	if err := writeServiceAccountKey(b.path("pki/sa.key")); err != nil {
		return err
	}
	server := "https://" + local(ports[2])
	if err := b.writeUsers(server, b.path("pki/ca.crt")); err != nil {
		return err
	}
	if err := b.awaitReady("etcd"); err != nil {
		return err
	}
	err = b.spawn("apiserver", &Process{
		Command: []string{b.program("kube-apiserver"), "--etcd-servers=" + client,
			"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", ports[2]), "--cert-dir=" + b.path("pki"),
			"--tls-cert-file=" + b.path("pki/apiserver.crt"), "--tls-private-key-file=" + b.path("pki/apiserver.key"),
			"--client-ca-file=" + b.path("pki/ca.crt"), "--token-auth-file=" + b.path("tokens.csv"), "--authorization-mode=RBAC",
			"--service-account-key-file=" + b.path("pki/sa.key"), "--service-account-signing-key-file=" + b.path("pki/sa.key"),
			"--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.0.0.0/24",
			// Nobody here makes service accounts, or may be an endpoint: all addresses are loopback.
			"--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none"},
		// Its start is a third faster when it collects less garbage meanwhile.
		Environment: map[string]string{"GOGC": "400", "GOMEMLIMIT": "800MiB"},
		Ready:       server + "/readyz",
	})
	if err != nil {
		return err
	}
	return b.awaitReady("apiserver")
}

// startIstiod starts istiod against the API server: without certificates, and without what a stock Envoy does not have.
func (b *Bed) startIstiod() error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	b.Istiod = &Istiod{HTTP: local(ports[0]), GRPC: local(ports[1])}
	if err := writeFile(b.path("mesh.yaml"), []byte(mesh)); err != nil {
		return err
	}
	err = b.spawn("istiod", &Process{
		Command: []string{b.program("pilot-discovery"), "discovery", "--kubeconfig=" + b.Kubeconfig, "--registries=",
			"--meshConfig=" + b.path("mesh.yaml"), "--httpAddr=" + b.Istiod.HTTP, "--grpcAddr=" + b.Istiod.GRPC,
			"--monitoringAddr=" + local(ports[2]), "--secureGRPCAddr=", "--httpsAddr=", "--ctrlz_port=0"},
		Environment: map[string]string{
			"PILOT_ENABLE_METADATA_EXCHANGE": "false", "PILOT_ENABLE_ALPN_FILTER": "false", "ENABLE_CA_SERVER": "false",
			// One that is killed would keep its successor waiting.
			"ENABLE_LEADER_ELECTION": "false",
			"POD_NAMESPACE":          "istio-system", "POD_NAME": "istiod", "CLUSTER_ID": "Kubernetes",
		},
		Ready: "http://" + b.Istiod.HTTP + "/ready",
	})
	if err != nil {
		return err
	}
	return b.awaitReady("istiod")
}

// startRegistry starts a registry for OCI images. Its name is localhost, from which the agent pulls without TLS when told to.
func (b *Bed) startRegistry() error {
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	settings := fmt.Sprintf("version: 0.1\nlog: {level: warn, accesslog: {disabled: false}}\nstorage:\n  filesystem: {rootdirectory: %q}\n  delete: {enabled: true}\nhttp: {addr: %q}\n",
		b.path("registry"), local(ports[0]))
	if err := writeFile(b.path("registry.yaml"), []byte(settings)); err != nil {
		return err
	}
	b.Registry = fmt.Sprintf("localhost:%d", ports[0])
	err = b.spawn("registry", &Process{
		Command:     []string{b.program("registry"), "serve", b.path("registry.yaml")},
		Environment: map[string]string{"OTEL_TRACES_EXPORTER": "none"},
		Ready:       "http://" + local(ports[0]) + "/v2/",
	})
	if err != nil {
		return err
	}
	return b.awaitReady("registry")
}

// startBackends starts one backend of each color.
func (b *Bed) startBackends() error {
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	b.Backends = map[string]string{}
	for i, color := range []string{"blue", "green"} {
		b.Backends[color] = local(ports[i])
		err := b.spawn(color, &Process{
			Command: []string{b.own("app"), "serve", "--listen", local(ports[i]), "--color", color, "--build", "v1"},
			Ready:   "http://" + local(ports[i]) + "/ready",
		})
		if err != nil {
			return err
		}
	}
	for color := range b.Backends {
		if err := b.awaitReady(color); err != nil {
			return err
		}
	}
	return nil
}
