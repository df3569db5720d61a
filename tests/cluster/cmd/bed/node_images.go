package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Images have names of a registry that does not exist: what is not imported fails, and is never pulled.
const (
	imageHub = "cutover.local"
	imageTag = "bed"
)

// passwd names the users that Istio's images have.
const passwd = "root:x:0:0:root:/root:/sbin/nologin\nistio-proxy:x:1337:1337::/home/istio-proxy:/sbin/nologin\n"

// appConfig lets the application run without root. Its command line says what it is: `serve` or `relay`.
var appConfig = imageConfig{User: "65534:65534", Env: []string{"PATH=/"}, Entrypoint: []string{"/app"}}

// nodeImage is an image made of programs of this machine. No public one is needed.
type nodeImage struct {
	name   string
	config imageConfig
	fill   func(*layer)
}

// imagePath is where Istio's programs look for others.
var imagePath = []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin"}

// firstImages are what the first pod, istiod, is made of; "pause" holds the namespaces of each pod.
func (n *node) firstImages() []nodeImage {
	return []nodeImage{
		{"pause", imageConfig{Entrypoint: []string{"/app", "pause"}}, n.fillApp},
		{"pilot", imageConfig{User: "1337:1337", Env: imagePath, Entrypoint: []string{"/usr/local/bin/pilot-discovery"}}, func(l *layer) {
			l.copy(n.bed.program("pilot-discovery"), "/usr/local/bin/pilot-discovery")
		}},
	}
}

// otherImages are what all further pods are made of.
func (n *node) otherImages() []nodeImage {
	return []nodeImage{
		{"app", appConfig, n.fillApp},
		{"proxyv2", imageConfig{Env: imagePath, Entrypoint: []string{"/usr/local/bin/pilot-agent"}}, n.fillProxy},
	}
}

func (n *node) fillApp(l *layer) { l.copy(n.bed.own("app"), "/app") }

// fillProxy has the agent, Envoy, and iptables for the container that redirects a pod's traffic.
func (n *node) fillProxy(l *layer) {
	l.copy(n.bed.program("pilot-agent"), "/usr/local/bin/pilot-agent")
	l.program(n.bed.Envoy, "/usr/local/bin/envoy", nil)
	l.copy(filepath.Join(n.crds, "envoy_bootstrap.json"), "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json")
	l.folder("/var/lib/istio/data", 0o777)
	tool := n.iptables
	l.program(tool.binary, "/usr/sbin/"+filepath.Base(tool.binary), tool.environment())
	for _, name := range iptablesNames {
		l.link("/usr/sbin/"+name, filepath.Base(tool.binary))
	}
	modules, err := filepath.Glob(tool.modules + "/*.so")
	if err != nil || len(modules) == 0 {
		l.err = fail(environ, "iptables has no modules in %s", tool.modules)
		return
	}
	// Its place is built into the binary, as the path where the distribution installs it.
	at := tool.modules[len(tool.root):]
	for _, module := range modules {
		l.copy(module, filepath.Join(at, filepath.Base(module)))
	}
}

// load makes an image and gives it to containerd.
func (n *node) load(image nodeImage) error {
	made, err := newLayer(n.bed.path("tmp"))
	if err != nil {
		return err
	}
	defer made.close()
	made.folder("/tmp", 0o1777)
	made.folder("/home/istio-proxy", 0o777)
	made.text("/etc/passwd", passwd)
	made.text("/etc/group", "root:x:0:\nistio-proxy:x:1337:\n")
	image.fill(made)
	in, out := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := made.image(out, imageName(image.name), image.config)
		out.CloseWithError(err)
		written <- err
	}()
	command := exec.Command(n.bed.program("ctr"), "--address", n.bed.path("containerd.sock"), "--namespace", "k8s.io", "images", "import", "-")
	command.Stdin = in
	text, err := command.CombinedOutput()
	in.Close()
	if err := <-written; err != nil && err != io.ErrClosedPipe {
		return fmt.Errorf("the image %s cannot be made: %w", image.name, err)
	}
	if err != nil {
		return fmt.Errorf("containerd does not take the image %s: %w\n%s", image.name, err, text)
	}
	return nil
}

func imageName(name string) string { return imageHub + "/" + name + ":" + imageTag }

// supported says whether this machine can have a node at all.
func supported() error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return fail(cannotRun, "a node needs Linux on x86-64, and this is %s on %s; give an existing cluster with --kubeconfig", runtime.GOOS, runtime.GOARCH)
	}
	if os.Geteuid() != 0 {
		return fail(cannotRun, "a node needs root; run it with sudo, or give an existing cluster with --kubeconfig")
	}
	return nil
}

// writeImage writes the image of the application, for a cluster of someone else's: `bed image >app.tar`.
func writeImage(arguments []string) error {
	if len(arguments) != 0 {
		return fail(badUse, "image takes nothing, and writes to standard output")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	made, err := newLayer(os.TempDir())
	if err != nil {
		return err
	}
	defer made.close()
	made.text("/etc/passwd", passwd)
	made.copy(filepath.Join(filepath.Dir(self), "app"), "/app")
	return made.image(os.Stdout, imageName("app"), appConfig)
}
