package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
)

// node is a whole Kubernetes node on this machine, with Istio in it.
type node struct {
	bed      *Bed
	iptables iptables
	// crds is where scripts/get-cluster puts what comes out of the sources beside the programs.
	crds   string
	values nodeValues
	network
}

// nodeState is what bed.json remembers of a node beyond its processes: all that is of this machine.
type nodeState struct {
	Network network `json:"network"`
	// Link is the number of the device, once there is one. A name may be another's by now.
	Link int `json:"link,omitempty"`
	// Cgroup is the node's control group; no other bed has one of that name.
	Cgroup string `json:"cgroup"`
	// Delegated are the controllers that the root of control groups did not hand down before.
	Delegated []string `json:"delegated,omitempty"`
}

// remember writes it down.
func (n *node) remember(state nodeState) error {
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	n.bed.Node = text
	return n.bed.save()
}

// clusterUp starts a node, or looks at an existing cluster.
func clusterUp(arguments []string) error {
	set, dir := flags("cluster-up", "cluster")
	programs := set.String("bin", "", "the folder of scripts/get-cluster")
	envoy := set.String("envoy", "", "Envoy")
	tool := set.String("iptables", "", "the folder below which iptables is unpacked, unless it is installed")
	checkout := set.String("checkout", "", "this repository")
	existing := set.String("kubeconfig", "", "an existing cluster, to be used instead")
	if _, err := parse(set, dir, arguments, 0); err != nil {
		return err
	}
	if *existing != "" {
		return lookAt(*existing, filepath.Join(*programs, "kubectl"))
	}
	if err := supported(); err != nil {
		return err
	}
	if err := fits(*dir); err != nil {
		return err
	}
	found, err := findIptables(*tool)
	if err != nil {
		return err
	}
	bed, err := leftover(*dir, (*Bed).endNode)
	if err != nil {
		return err
	}
	if bed != nil {
		switch {
		case bed.Kind != "cluster":
			return fail(badUse, "%s has a bed of another kind", *dir)
		case bed.Processes[holder].alive():
			return bed.nodeAgain()
		}
		say("the node in %s has ended, as after a restart of the machine; starting it anew", *dir)
		if err := errors.Join(bed.endNode(), bed.lock.Close()); err != nil {
			return err
		}
	}
	bed, err = create("cluster", *dir)
	if err != nil {
		return err
	}
	bed.Programs, bed.Envoy, bed.Checkout = *programs, *envoy, *checkout
	n := &node{bed: bed, iptables: found, crds: filepath.Dir(*programs)}
	began := time.Now()
	say("starting a Kubernetes node in namespaces of its own; it takes about half a minute on 2 cores")
	if err := bed.bringUp(n.startAll, bed.endNode); err != nil {
		return err
	}
	say("up after %.0f s: a node at %s with Istio, and a registry at %s; ended by %s", time.Since(began).Seconds(), n.Node, bed.Registry, ended(set, "cluster", *dir))
	bed.printExports()
	return nil
}

// fits says whether a folder can be a node's.
func fits(dir string) error {
	for _, folder := range append([]string{"/run", "/proc", "/sys", "/dev"}, hiddenFolders...) {
		if strings.HasPrefix(dir+"/", folder+"/") {
			return fail(badUse, "a node cannot have its folder below %s; name another one with --dir", folder)
		}
	}
	// The path of a socket has room for 107 bytes, and the longest of kubelet's adds 36.
	if len(dir) > 70 {
		return fail(badUse, "%s is too long for the sockets below it; name another folder with --dir", dir)
	}
	return nil
}

// nodeAgain answers an `up` on a node that is up: what has ended of it is started again.
func (b *Bed) nodeAgain() error {
	say("the node in %s is up already", b.dir)
	for _, name := range nodeOrder {
		if process, is := b.Processes[name]; is && !process.alive() {
			say("%s has ended; starting it again", name)
			if err := b.restart(name); err != nil {
				return err
			}
		}
	}
	b.printExports()
	return nil
}

// prepare finds what is free, writes it down, and makes the namespaces, the devices and the control group.
func (n *node) prepare() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := n.bed.keepOwn(filepath.Dir(self), "bed", "app"); err != nil {
		return err
	}
	// For whoever has none of these.
	for _, name := range []string{"kubectl", "istioctl", "crane", "helm"} {
		if err := os.Symlink(n.bed.program(name), n.bed.own(name)); err != nil {
			return err
		}
	}
	// Two nodes that start at the same time do not find the same network free.
	held, err := lockNetworks()
	if err != nil {
		return err
	}
	defer held.Close()
	if n.network, err = freeNetwork(); err != nil {
		return err
	}
	state := nodeState{Network: n.network, Cgroup: cgroupName(n.bed.dir), Delegated: undelegated()}
	n.bed.Registry, n.bed.Namespace = n.Node+":5000", "shop"
	if err := n.remember(state); err != nil {
		return err
	}
	n.values = nodeValues{
		network: n.network, Dir: n.bed.dir, Programs: n.bed.Programs, Cgroup: state.Cgroup, Registry: n.bed.Registry,
		Hub: imageHub, Tag: imageTag, Pause: imageName("pause"),
	}
	if err := errors.Join(n.values.write(), n.iptables.link(n.bed.path("sbin")), n.wrapRunc()); err != nil {
		return err
	}
	if err := makeCgroups(state.Cgroup, state.Delegated); err != nil {
		return err
	}
	if err := n.bed.startHolder(); err != nil {
		return err
	}
	if state.Link, err = n.connect(n.bed.Processes[holder].PID); err != nil {
		return err
	}
	return n.remember(state)
}

// certify makes all keys and certificates, and a kubeconfig for each user.
func (n *node) certify() error {
	pki := n.bed.path("pki")
	signer, err := newAuthority(pki)
	if err != nil {
		return err
	}
	service := "kubernetes.default.svc"
	return errors.Join(
		signer.sign(pki+"/apiserver", "kube-apiserver", nil,
			[]string{"kubernetes", "kubernetes.default", service, service + ".cluster.local", "localhost", n.Node, n.API, "127.0.0.1"}),
		signer.sign(pki+"/kubelet", "system:node:node0", []string{"system:nodes"}, []string{"node0", n.Node}),
		signer.sign(pki+"/apiserver-kubelet", "kube-apiserver", []string{"system:masters"}, nil),
		writeServiceAccountKey(pki+"/sa.key"),
		n.bed.writeUsers("https://"+n.Node+":6443", pki+"/ca.crt"),
	)
}

// clusterDown ends a node, and whatever a crash has left of it.
func clusterDown(arguments []string) error {
	bed, dir, err := toEnd("cluster", arguments)
	if err != nil {
		return err
	}
	if bed == nil {
		say("there is no node in %s", dir)
		return nil
	}
	if os.Geteuid() != 0 {
		return fail(environ, "the node in %s was started by root, and can be ended by root only", dir)
	}
	return bed.endNode()
}

// endNode ends all of it. The holder goes first: the kernel ends what is in its namespaces, containers among it, and removes the mounts.
func (b *Bed) endNode() error {
	if process := b.Processes[holder]; process != nil && process.alive() {
		if err := syscall.Kill(process.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("the node cannot be ended: %w", err)
		}
	}
	if err := b.endAll(); err != nil {
		return err
	}
	var state nodeState
	if len(b.Node) > 0 {
		if err := json.Unmarshal(b.Node, &state); err != nil {
			return fail(environ, "what bed.json says of the node cannot be read: %v", err)
		}
		// It goes with the namespace, unless someone else is in that still.
		if link, err := netlink.LinkByName(state.Network.Device); err == nil && link.Attrs().Index == state.Link {
			if err := netlink.LinkDel(link); err != nil && !errors.Is(err, syscall.ENODEV) {
				return fail(environ, "the device %s cannot be removed: %v", state.Network.Device, err)
			}
		}
		if err := removeCgroups(state.Cgroup, state.Delegated); err != nil {
			return err
		}
	}
	return b.remove()
}
