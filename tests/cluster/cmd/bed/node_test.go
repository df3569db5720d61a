package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCgroupsOfBothVersionsAreFound(t *testing.T) {
	both := `22 1 0:20 / /proc rw - proc proc rw
30 29 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
31 29 0:27 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
32 29 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
`
	if got := parseCgroupRoots(both); !slices.Equal(got, []string{"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/unified"}) {
		t.Errorf("found %q", got)
	}
	if got := parseCgroupRoots("22 1 0:20 / /proc rw - proc proc rw\nbroken\n"); len(got) != 0 {
		t.Errorf("where there are none, found %q", got)
	}
}

func TestANetworkThatTheMachineKnowsIsNotTaken(t *testing.T) {
	for known, want := range map[string]bool{
		"10.99.7.0/24": true, "10.0.0.0/8": true, "10.99.0.0/16": true, "10.98.0.0/16": false, "192.0.2.0/24": false, "0.0.0.0/0": false,
	} {
		_, parsed, err := net.ParseCIDR(known)
		if err != nil {
			t.Fatal(err)
		}
		if got := overlaps(numbered(99), []*net.IPNet{parsed}); got != want {
			t.Errorf("beside %s: %t", known, got)
		}
	}
}

func TestTheFilesOfANodeSayWhereItIs(t *testing.T) {
	dir := t.TempDir()
	values := nodeValues{network: numbered(99), Dir: dir, Programs: "/programs", Cgroup: "cutover99", Registry: "10.99.0.1:5000", Hub: imageHub, Tag: imageTag, Pause: imageName("pause")}
	if err := values.write(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"node/kubelet.yaml":      "cgroupRoot: /cutover99",
		"node/containerd.toml":   `sandbox = "cutover.local/pause:bed"`,
		"node/Corefile":          "bind 10.99.0.1",
		"node/istio.yaml":        `WASM_INSECURE_REGISTRIES: "10.99.0.1:5000"`,
		"cni/10-bridge.conflist": `"subnet": "10.99.1.0/24"`,
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) || strings.Contains(string(text), "<no value>") {
			t.Errorf("%s does not say %s:\n%s", name, want, text)
		}
	}
}

// unpacked reads the layer of an image, as names and what they hold.
func unpacked(t *testing.T, image io.Reader) map[string]string {
	t.Helper()
	files := map[string]string{}
	for archive := tar.NewReader(image); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(text) + header.Linkname
	}
}

func TestAnImageHasWhatWasPutIntoIt(t *testing.T) {
	made, err := newLayer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer made.close()
	made.text("/etc/deep/name", "shop")
	made.text("/etc/deep/name", "a second time")
	made.link("/bin/name", "../etc/deep/name")
	var image bytes.Buffer
	if err := made.image(&image, "cutover.local/x:bed", imageConfig{Entrypoint: []string{"/bin/name"}}); err != nil {
		t.Fatal(err)
	}
	parts := unpacked(t, &image)
	if !strings.Contains(parts["manifest.json"], `"RepoTags":["cutover.local/x:bed"]`) || !strings.Contains(parts["config.json"], `"Entrypoint":["/bin/name"]`) {
		t.Errorf("the image says %s %s", parts["manifest.json"], parts["config.json"])
	}
	layer := unpacked(t, strings.NewReader(parts["layer.tar"]))
	if layer["etc/deep/name"] != "shop" || layer["bin/name"] != "../etc/deep/name" || len(layer) != 5 {
		t.Errorf("the layer has %q", layer)
	}

	absent, err := newLayer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer absent.close()
	absent.copy("/nowhere", "/app")
	if err := absent.image(io.Discard, "x", imageConfig{}); err == nil {
		t.Error("an image was made of a file that is not there")
	}
}

func TestOnlyTheFilterOfSystemCallsIsLeftOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(`{"ociVersion":"1.3.0","linux":{"seccomp":{"defaultAction":"x"},"resources":{"pids":9007199254740993}},"hostname":"a"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := withoutFilter(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"hostname":"a","linux":{"resources":{"pids":9007199254740993}},"ociVersion":"1.3.0"}`; string(text) != want {
		t.Errorf("it became %s", text)
	}
	if !json.Valid(text) || withoutFilter("/nowhere") == nil {
		t.Error("a description that is not there was changed")
	}
}

func TestAProcessThatIsAloneTakesNobodyAlong(t *testing.T) {
	self := identityOf(os.Getpid())
	bed := &Bed{dir: "/nowhere"}
	if got := bed.session(&Process{Identity: self, Alone: true}); !slices.Equal(got, []Identity{self}) {
		t.Errorf("alone: %v", got)
	}
	if got := bed.session(&Process{Identity: Identity{self.PID, self.Started - 1}, Alone: true}); len(got) != 0 {
		t.Errorf("alone, and ended: %v", got)
	}
}

func TestAFolderThatANodeCannotHaveIsRefused(t *testing.T) {
	for dir, want := range map[string]bool{
		"/home/you/.local/state/cutover/cluster-bed": true, "/variable/lib": true, "/var/lib/bed": false, "/run": false, "/" + strings.Repeat("a", 80): false,
	} {
		if err := fits(dir); (err == nil) != want {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
