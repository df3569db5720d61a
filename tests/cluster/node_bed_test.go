//go:build bed

// These tests start a whole node by the scripts, as a user does. They need what scripts/cluster-up needs; scripts/node-test runs them.
package cluster

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// machine is what no node may change: settings of the kernel, and folders to which kubelet and containerd write by habit.
func machine(t *testing.T) string {
	t.Helper()
	var seen strings.Builder
	for _, setting := range []string{"vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward"} {
		text, err := os.ReadFile("/proc/sys/" + setting)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&seen, "%s = %s", setting, text)
	}
	for _, folder := range []string{"/var/log/containers", "/var/lib/kubelet", "/var/lib/cni", "/opt/containerd", "/run/netns"} {
		_, err := os.Stat(folder)
		fmt.Fprintf(&seen, "%s is there: %t\n", folder, err == nil)
	}
	return seen.String()
}

// outside is what bed.json says that the node has outside of its namespaces.
type outside struct {
	Network struct{ Device string }
	Cgroup  string
}

// traces lists what there is of one node outside of its namespaces: processes, the device, control groups, mounts, and its folder.
func traces(dir string, node outside) []string {
	found := running(dir)
	for _, pattern := range []string{"/sys/class/net/" + node.Network.Device, "/sys/fs/cgroup/" + node.Cgroup, "/sys/fs/cgroup/*/" + node.Cgroup, dir} {
		paths, _ := filepath.Glob(pattern)
		found = append(found, paths...)
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, dir) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// made is what the bed of a folder has outside; of one that is not there, or not that far, nothing.
func made(dir string) outside {
	read := struct{ Node outside }{outside{struct{ Device string }{"none"}, "none"}}
	text, _ := os.ReadFile(filepath.Join(dir, "bed.json"))
	_ = json.Unmarshal(text, &read)
	return read.Node
}

// nodeFolder is a place for a node; whatever happens, nothing of it is left.
func nodeFolder(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a node needs root")
	}
	dir, before := filepath.Join(t.TempDir(), "node"), machine(t)
	t.Cleanup(func() { ended(t, dir, before) })
	return dir
}

// ended ends a node, if there is one, and looks whether the machine is as it was.
func ended(t *testing.T, dir, before string) {
	t.Helper()
	node := made(dir)
	if down := script(t, nil, "cluster-down", "--dir", dir); down.code != 0 {
		t.Errorf("cluster-down exits with %d: %s", down.code, down.err)
	}
	if left := traces(dir, node); len(left) > 0 {
		t.Errorf("cluster-down left behind: %s", strings.Join(left, "\n"))
	}
	if after := machine(t); after != before {
		t.Errorf("the machine has changed, from\n%s\nto\n%s", before, after)
	}
}

// get asks for a page, and returns the status and the body, or what went wrong.
func get(address, host string) string {
	request, err := http.NewRequest(http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return err.Error()
	}
	request.Host = host
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(response.StatusCode, " ", string(body))
}

func TestNodeRunsTheShopWithSidecars(t *testing.T) {
	dir := nodeFolder(t)
	up := script(t, nil, "cluster-up", "--dir", dir)
	if up.code != 0 {
		t.Fatalf("cluster-up exits with %d: %s", up.code, up.err)
	}
	environment := exports(t, up.out)
	if environment["KUBECONFIG"] != mustReadBed(t, dir).Users["admin"] || environment["CUTOVER_BED"] != dir || environment["CUTOVER_REGISTRY"] == "" {
		t.Errorf("the environment is not the node's: %v", environment)
	}
	kubectl := func(arguments ...string) string {
		t.Helper()
		got := run(t, exec.Command(dir+"/bin/kubectl", append([]string{"--kubeconfig", environment["KUBECONFIG"]}, arguments...)...))
		if got.code != 0 {
			t.Fatalf("kubectl %v: %s", arguments, got.err)
		}
		return got.out
	}
	address := func(namespace, selector string) string {
		t.Helper()
		return kubectl("-n", namespace, "get", "pods", "-l", selector, "-o", "jsonpath={.items[0].status.podIP}")
	}

	kubectl("apply", "-k", "shop")
	kubectl("apply", "-k", "../../istio/routes/colors")
	kubectl("-n", "shop", "rollout", "status", "deployment/blue", "deployment/green", "--timeout=2m")
	kubectl("-n", "storefront", "rollout", "status", "deployment/client", "--timeout=2m")
	kubectl("-n", "shop", "wait", "gateway/shop", "--for=condition=Programmed", "--timeout=2m")
	kubectl("-n", "shop", "rollout", "status", "deployment/shop-istio", "--timeout=2m")
	gateway := address("shop", "gateway.networking.k8s.io/gateway-name=shop")
	client := address("storefront", "app=client") + ":8080"
	until(t, "a client reaches the shop through its sidecar", func() bool { return get(client, "") == "200 blue v1\n" })
	until(t, "the gateway lets requests in", func() bool { return get(gateway, "shop.example.com") == "200 blue v1\n" })
	if got := get(address("shop", "version=blue")+":8080", ""); strings.HasPrefix(got, "200") {
		t.Errorf("the shop answers without mutual TLS: %s", got)
	}

	// Nothing leaves: no route leads elsewhere.
	routes, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/route", mustReadBed(t, dir).Processes["holder"].PID))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(routes)) {
		if fields := strings.Fields(line); fields[0] != "Iface" && fields[7] == "00000000" {
			t.Errorf("the node has a default route: %s", line)
		}
	}

	// Without the API server the traffic goes on; it comes back as it was. Without containerd the pods live on.
	bed := func(arguments ...string) {
		t.Helper()
		if got := run(t, exec.Command(dir+"/bin/bed", append(arguments, "--dir", dir)...)); got.code != 0 {
			t.Errorf("bed %v exits with %d: %s", arguments, got.code, got.err)
		}
	}
	for _, name := range []string{"apiserver", "containerd"} {
		bed("stop", name, "--kill")
		if got := get(client, ""); got != "200 blue v1\n" {
			t.Errorf("without %s the shop is %s", name, got)
		}
	}
	again := script(t, nil, "cluster-up", "--dir", dir)
	if again.code != 0 || !strings.Contains(again.err, "is up already") || !strings.Contains(again.err, "apiserver has ended") || strings.Contains(again.err, "etcd has ended") {
		t.Errorf("the second cluster-up: %d %s", again.code, again.err)
	}
	if got := exports(t, again.out); got["KUBECONFIG"] != environment["KUBECONFIG"] {
		t.Errorf("the second cluster-up prints another environment: %v", got)
	}
	if got := address("storefront", "app=client") + ":8080"; got != client {
		t.Errorf("the client was at %s, and is at %s", client, got)
	}

	existing := script(t, nil, "cluster-up", "--kubeconfig", environment["KUBECONFIG"])
	if existing.code != 0 || strings.Contains(existing.err, "missing") || exports(t, existing.out)["KUBECONFIG"] != environment["KUBECONFIG"] {
		t.Errorf("a cluster that has everything: %d %s", existing.code, existing.err)
	}
	kubectl("delete", "crd", "wasmplugins.extensions.istio.io", "httproutes.gateway.networking.k8s.io")
	lacking := script(t, nil, "cluster-up", "--kubeconfig", environment["KUBECONFIG"])
	if lacking.code != 3 || lacking.out != "" || !strings.Contains(lacking.err, "lacks: Istio's resource definitions") || !strings.Contains(lacking.err, "missing: the Gateway API") {
		t.Errorf("a cluster that lacks something: %d %s", lacking.code, lacking.err)
	}
}

func TestNodeLeavesNothingBehindAfterACrash(t *testing.T) {
	for _, killed := range []string{"cluster-up", "holder", "Ctrl-C"} {
		dir, before := nodeFolder(t), machine(t)
		command := scriptCommand("cluster-up", "--dir", dir)
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		until(t, "containerd is started", func() bool {
			read, err := readBed(dir)
			return err == nil && read.Processes["containerd"].PID > 0
		})
		node := made(dir)
		if len(traces(dir, node)) < 5 {
			t.Errorf("nothing of the node is to be seen: %v", traces(dir, node))
		}
		switch killed {
		case "cluster-up":
			command.Process.Kill()
		case "holder":
			syscall.Kill(mustReadBed(t, dir).Processes["holder"].PID, syscall.SIGKILL)
		default:
			command.Process.Signal(os.Interrupt)
		}
		command.Wait()
		if left := traces(dir, node); killed != "cluster-up" && len(left) > 0 {
			t.Errorf("%s: cluster-up left behind: %s", killed, strings.Join(left, "\n"))
		}
		ended(t, dir, before)
	}
}

func TestNodeIsRefusedInOneSentence(t *testing.T) {
	command := scriptCommand("cluster-up", "--dir", filepath.Join(t.TempDir(), "node"))
	if os.Geteuid() == 0 {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	if got := run(t, command); got.code != 75 || got.out != "" || strings.Count(got.err, "\n") != 1 || !strings.Contains(got.err, "needs root") {
		t.Errorf("without root: exits with %d: %s%s", got.code, got.out, got.err)
	}
	if os.Geteuid() != 0 {
		return
	}
	if got := script(t, nil, "cluster-up", "--dir", "/var/lib/cutover-node"); got.code != 2 || !strings.Contains(got.err, "/var/lib") {
		t.Errorf("below a folder that is replaced: exits with %d: %s", got.code, got.err)
	}
	if got := script(t, nil, "cluster-down", "--dir", filepath.Join(t.TempDir(), "node")); got.code != 0 || !strings.Contains(got.err, "there is no node") {
		t.Errorf("nothing to end: exits with %d: %s", got.code, got.err)
	}
}
