package main

// nodeProcess is how one of the programs of a node is started.
type nodeProcess struct {
	name, ready string
	command     []string
}

func (n *node) etcd() nodeProcess {
	return nodeProcess{"etcd", "http://" + n.Node + ":2381/health", []string{
		"etcd", "--unsafe-no-fsync", "--data-dir=" + n.bed.path("etcd"),
		"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380", "--initial-cluster=default=http://127.0.0.1:2380",
		"--listen-metrics-urls=http://" + n.Node + ":2381",
	}}
}

func (n *node) apiServer() nodeProcess {
	pki := n.bed.path("pki")
	return nodeProcess{"apiserver", "https://" + n.Node + ":6443/readyz", []string{
		"kube-apiserver", "--etcd-servers=http://127.0.0.1:2379",
		"--bind-address=0.0.0.0", "--advertise-address=" + n.Node, "--secure-port=6443",
		"--tls-cert-file=" + pki + "/apiserver.crt", "--tls-private-key-file=" + pki + "/apiserver.key", "--cert-dir=" + pki,
		"--client-ca-file=" + pki + "/ca.crt", "--token-auth-file=" + n.bed.path("tokens.csv"), "--authorization-mode=RBAC",
		"--service-account-key-file=" + pki + "/sa.key", "--service-account-signing-key-file=" + pki + "/sa.key",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=" + n.Services,
		"--kubelet-certificate-authority=" + pki + "/ca.crt",
		"--kubelet-client-certificate=" + pki + "/apiserver-kubelet.crt", "--kubelet-client-key=" + pki + "/apiserver-kubelet.key",
		"--kubelet-preferred-address-types=InternalIP", "--allow-privileged=true",
	}}
}

func (n *node) controllerManager() nodeProcess {
	pki := n.bed.path("pki")
	return nodeProcess{"controller-manager", "tcp:" + n.Node + ":10257", []string{
		"kube-controller-manager", "--kubeconfig=" + n.bed.Kubeconfig, "--leader-elect=false", "--bind-address=" + n.Node, "--cert-dir=" + pki,
		"--service-account-private-key-file=" + pki + "/sa.key", "--root-ca-file=" + pki + "/ca.crt",
		"--cluster-signing-cert-file=" + pki + "/ca.crt", "--cluster-signing-key-file=" + pki + "/ca.key",
	}}
}

func (n *node) scheduler() nodeProcess {
	return nodeProcess{"scheduler", "tcp:" + n.Node + ":10259", []string{
		"kube-scheduler", "--kubeconfig=" + n.bed.Kubeconfig, "--leader-elect=false", "--bind-address=" + n.Node, "--cert-dir=" + n.bed.path("pki"),
	}}
}

func (n *node) containerd() nodeProcess {
	return nodeProcess{"containerd", "unix:" + n.bed.path("containerd.sock"), []string{"containerd", "--config", n.bed.path("node", "containerd.toml")}}
}

func (n *node) kubelet() nodeProcess {
	return nodeProcess{"kubelet", "http://" + n.Node + ":10248/healthz", []string{
		"kubelet", "--config=" + n.bed.path("node", "kubelet.yaml"), "--kubeconfig=" + n.bed.Kubeconfig,
		"--hostname-override=node0", "--node-ip=" + n.Node, "--root-dir=" + n.bed.path("kubelet"), "--cert-dir=" + n.bed.path("pki"),
	}}
}

func (n *node) kubeProxy() nodeProcess {
	return nodeProcess{"kube-proxy", "http://" + n.Node + ":10256/livez", []string{"kube-proxy", "--config=" + n.bed.path("node", "kube-proxy.yaml")}}
}

func (n *node) coreDNS() nodeProcess {
	return nodeProcess{"coredns", "http://" + n.Node + ":8053/health", []string{"coredns", "-conf", n.bed.path("node", "Corefile")}}
}

func (n *node) registry() nodeProcess {
	return nodeProcess{"registry", "tcp:" + n.values.Registry, []string{"registry", "serve", n.bed.path("node", "registry.yaml")}}
}

// start starts one of them in the node, and waits until it is up.
func (n *node) start(process nodeProcess) error {
	command := append([]string{n.bed.program(process.command[0])}, process.command[1:]...)
	if err := n.bed.spawn(process.name, &Process{Command: command, Environment: n.environment(), Ready: process.ready, Alone: process.name == "containerd"}); err != nil {
		return err
	}
	return n.bed.awaitReady(process.name)
}

// environment lets what runs in the node find iptables, runc and the plugins.
func (n *node) environment() map[string]string {
	environment := map[string]string{"PATH": n.bed.path("sbin") + ":" + n.bed.Programs + ":/usr/sbin:/usr/bin:/sbin:/bin"}
	for name, value := range n.iptables.environment() {
		environment[name] = value
	}
	return environment
}
