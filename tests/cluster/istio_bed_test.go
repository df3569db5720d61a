//go:build bed

// These tests start control-plane beds by the scripts, as a user does. They need what scripts/istio-up needs.
package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// said is what a command printed, and what it ended with.
type said struct {
	out, err string
	code     int
}

// script runs one of scripts/ to its end.
func script(t *testing.T, environment []string, name string, arguments ...string) said {
	t.Helper()
	command := scriptCommand(name, arguments...)
	command.Env = append(os.Environ(), environment...)
	return run(t, command)
}

func scriptCommand(name string, arguments ...string) *exec.Cmd {
	return exec.Command("../../scripts/"+name, arguments...)
}

func run(t *testing.T, command *exec.Cmd) said {
	t.Helper()
	var out, err bytes.Buffer
	command.Stdout, command.Stderr = &out, &err
	if failure := command.Run(); command.ProcessState == nil {
		t.Fatalf("%v: %v", command.Args, failure)
	}
	return said{out.String(), err.String(), command.ProcessState.ExitCode()}
}

// bed is what tests read of bed.json.
type bed struct {
	Users     map[string]string
	Processes map[string]struct {
		PID     int
		Command []string
	}
	Proxies  []struct{ Name, HTTP, Admin string }
	Registry string
}

func readBed(dir string) (bed, error) {
	var read bed
	text, err := os.ReadFile(filepath.Join(dir, "bed.json"))
	if err == nil {
		err = json.Unmarshal(text, &read)
	}
	return read, err
}

func mustReadBed(t *testing.T, dir string) bed {
	t.Helper()
	read, err := readBed(dir)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// folder is a place for a bed; whatever happens, none is left there.
func folder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bed")
	t.Cleanup(func() {
		if down := script(t, nil, "istio-down", "--dir", dir); down.code != 0 {
			t.Errorf("istio-down exits with %d: %s", down.code, down.err)
		}
		if left := running(dir); len(left) > 0 {
			t.Errorf("istio-down left processes behind: %v", left)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("istio-down left %s behind", dir)
		}
	})
	return dir
}

// running lists the processes that belong to the bed of a folder, by their environment.
func running(dir string) []string {
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && bytes.Contains(text, []byte("CUTOVER_BED_PROCESS="+dir+"\x00")) {
			command, _ := os.ReadFile(filepath.Dir(file) + "/cmdline")
			if len(command) > 0 {
				found = append(found, filepath.Dir(file)+" "+strings.ReplaceAll(string(command), "\x00", " "))
			}
		}
	}
	return found
}

func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come about that %s", what)
		}
	}
}

// color asks the shop through a proxy.
func color(address string) string {
	request, _ := http.NewRequest(http.MethodGet, "http://"+address+"/", nil)
	request.Host = "shop.example"
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	response.Body.Close()
	return response.Header.Get("x-backend-color")
}

// exports reads the lines for a shell; nothing else may be among them.
func exports(t *testing.T, text string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, is := strings.Cut(strings.TrimSpace(line), "=")
		if name, named := strings.CutPrefix(name, "export "); is && named {
			found[name] = value
		} else {
			t.Errorf("standard output has a line that sets nothing: %q", line)
		}
	}
	return found
}

func TestABedIsUsedStoppedInPartsAndEnded(t *testing.T) {
	dir := folder(t)
	up := script(t, nil, "istio-up", "--dir", dir)
	if up.code != 0 {
		t.Fatalf("istio-up exits with %d: %s", up.code, up.err)
	}
	read := mustReadBed(t, dir)
	environment := exports(t, up.out)
	if environment["KUBECONFIG"] != read.Users["admin"] || environment["CUTOVER_BED"] != dir || environment["CUTOVER_ADMIN"] != read.Proxies[0].Admin+","+read.Proxies[1].Admin {
		t.Errorf("the environment is not the bed's: %v", environment)
	}
	for _, proxy := range read.Proxies {
		if got := color(proxy.HTTP); got != "blue" {
			t.Errorf("through %s the shop is %q, not blue", proxy.Name, got)
		}
	}

	kubectl := func(user string, arguments ...string) said {
		return run(t, exec.Command(dir+"/bin/kubectl", append([]string{"--kubeconfig", read.Users[user]}, arguments...)...))
	}
	if got := kubectl("admin", "-n", "shop", "get", "virtualservice,destinationrule,serviceentry,gateways.networking.istio.io", "-o", "name"); strings.Count(got.out, "\n") != 5 {
		t.Errorf("the shop is not there: %s%s", got.out, got.err)
	}
	if got := kubectl("alice", "auth", "whoami"); !strings.Contains(got.out, "cutover-users") {
		t.Errorf("alice is not in her group: %s%s", got.out, got.err)
	}
	if got := kubectl("mallory", "-n", "shop", "get", "wasmplugins"); got.code == 0 || !strings.Contains(got.err, "Forbidden") {
		t.Errorf("mallory may read: %s%s", got.out, got.err)
	}

	bed := func(arguments ...string) said {
		return run(t, exec.Command(dir+"/bin/bed", append(arguments, "--dir", dir)...))
	}
	// Traffic goes on without istiod, and the same istiod is there again.
	for _, name := range []string{"istiod", "apiserver"} {
		before := mustReadBed(t, dir).Processes[name]
		if stop := bed("stop", name, "--kill"); stop.code != 0 || len(running(dir)) != 6 {
			t.Errorf("%s does not stop: %s", name, stop.err)
		}
		if got := color(read.Proxies[0].HTTP); got != "blue" {
			t.Errorf("without %s the shop is %q", name, got)
		}
		if start := bed("start", name); start.code != 0 {
			t.Errorf("%s does not start: %s", name, start.err)
		}
		after := mustReadBed(t, dir).Processes[name]
		if after.PID == before.PID || fmt.Sprint(after.Command) != fmt.Sprint(before.Command) {
			t.Errorf("%s is not what it was: %v, before %v", name, after, before)
		}
	}
	if stop := bed("stop", "istoid"); stop.code != 2 || !strings.Contains(stop.err, "apiserver blue etcd green istiod proxy-0 proxy-1") {
		t.Errorf("what has no such name is stopped: %d %s", stop.code, stop.err)
	}

	if add := bed("add-proxy"); add.code != 0 || !strings.Contains(exports(t, add.out)["CUTOVER_ADMIN"], mustReadBed(t, dir).Proxies[2].Admin) {
		t.Errorf("no proxy is added: %s%s", add.out, add.err)
	}
	if now := mustReadBed(t, dir); len(now.Proxies) != 3 {
		t.Fatalf("of 3 proxies there are %v", now.Proxies)
	} else if got := color(now.Proxies[2].HTTP); got != "blue" {
		t.Errorf("through the proxy that was added the shop is %q", got)
	}

	// What crashed is started again by an `up`, which otherwise changes nothing.
	syscall.Kill(mustReadBed(t, dir).Processes["proxy-1"].PID, syscall.SIGKILL)
	again := script(t, nil, "istio-up", "--dir", dir)
	if again.code != 0 || !strings.Contains(again.err, "is up already") || !strings.Contains(again.err, "proxy-1 has ended") || strings.Contains(again.err, "proxy-0 has ended") {
		t.Errorf("the second istio-up: %d %s", again.code, again.err)
	}
	if got := exports(t, again.out); got["KUBECONFIG"] != environment["KUBECONFIG"] {
		t.Errorf("the second istio-up prints another environment: %v", got)
	}
	if got := color(read.Proxies[1].HTTP); got != "blue" {
		t.Errorf("through the proxy that was started again the shop is %q", got)
	}
	if other := script(t, nil, "istio-up", "--dir", dir, "--agent"); other.code != 2 {
		t.Errorf("the same bed becomes one with agents: %d %s", other.code, other.err)
	}

	// Another that is interrupted takes nothing of this one along.
	interrupted(t, func(up *exec.Cmd, _ string) { up.Process.Signal(syscall.SIGINT) })
	interrupted(t, func(_ *exec.Cmd, dir string) {
		if down := script(t, nil, "istio-down", "--dir", dir); down.code != 0 {
			t.Errorf("istio-down exits with %d: %s", down.code, down.err)
		}
	})
	if left := running(dir); len(left) != 8 {
		t.Errorf("of the 8 processes there are: %v", left)
	}
}

// interrupted ends an istio-up in the middle: by Ctrl-C, or by an istio-down.
func interrupted(t *testing.T, end func(up *exec.Cmd, dir string)) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bed")
	command, stderr := begin(t, dir)
	end(command, dir)
	command.Wait()
	if code := command.ProcessState.ExitCode(); code != 130 || !strings.Contains(stderr.String(), "nothing is left behind") {
		t.Errorf("an interrupted istio-up exits with %d: %s", code, stderr)
	}
	if left := running(dir); len(left) > 0 {
		t.Errorf("an interrupted istio-up left behind: %v", left)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("an interrupted istio-up left %s behind", dir)
	}
}

// begin starts an istio-up, and returns when its API server has been started.
func begin(t *testing.T, dir string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	command := scriptCommand("istio-up", "--dir", dir)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the API server is started", func() bool {
		read, err := readBed(dir)
		return err == nil && read.Processes["apiserver"].PID > 0
	})
	return command, &stderr
}

func TestAnAgentSeesAFolderOfItsOwn(t *testing.T) {
	const data = "/var/lib/istio/data"
	_, before := os.Stat(data)
	dir := folder(t)
	up := script(t, nil, "istio-up", "--dir", dir, "--agent", "--proxies", "1")
	if up.code == 75 && os.Getenv("CI") == "" {
		t.Skip(up.err)
	}
	if up.code != 0 {
		t.Fatalf("istio-up exits with %d: %s", up.code, up.err)
	}
	read := mustReadBed(t, dir)
	if registry := exports(t, up.out)["CUTOVER_REGISTRY"]; registry == "" || registry != read.Registry {
		t.Errorf("the registry is %q, in bed.json %q", registry, read.Registry)
	}
	if stop := run(t, exec.Command(dir+"/bin/bed", "stop", "proxy-0", "--dir", dir)); stop.code != 0 || len(running(dir)) != 6 {
		t.Errorf("an agent does not end with its Envoy: %s %v", stop.err, running(dir))
	}
	if start := run(t, exec.Command(dir+"/bin/bed", "start", "proxy-0", "--dir", dir)); start.code != 0 {
		t.Errorf("an agent does not start again: %s", start.err)
	}
	until(t, "the shop is blue again", func() bool { return color(read.Proxies[0].HTTP) == "blue" })
	seen := fmt.Sprintf("/proc/%d/root%s", mustReadBed(t, dir).Processes["proxy-0"].PID, data)
	if err := os.WriteFile(seen+"/module", nil, 0o600); err != nil {
		t.Errorf("the agent cannot keep a module: %v", err)
	}
	if _, err := os.Stat(dir + "/proxy-0/data/module"); err != nil {
		t.Errorf("what the agent keeps is not in the bed: %v", err)
	}
	if _, after := os.Stat(data); (before == nil) != (after == nil) {
		t.Errorf("%s of this machine has changed", data)
	}
}

func TestWhatAKilledStartLeftIsEnded(t *testing.T) {
	for _, next := range []string{"istio-up", "istio-down"} {
		dir := folder(t)
		command, _ := begin(t, dir)
		command.Process.Kill()
		command.Wait()
		left := running(dir)
		if len(left) < 2 {
			t.Errorf("nothing was left behind that could be ended: %v", left)
		}
		// No word was left of one of them.
		text, err := os.ReadFile(dir + "/bed.json")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/bed.json", bytes.Replace(text, []byte(`"etcd": {`), []byte(`"unknown": {`), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		if next == "istio-up" {
			up := script(t, nil, next, "--dir", dir)
			if up.code != 0 || !strings.Contains(up.err, "cut short") {
				t.Errorf("istio-up after a crash exits with %d: %s", up.code, up.err)
			}
			if now := running(dir); len(now) != 7 {
				t.Errorf("a new bed of 7 processes has %v", now)
			}
			continue
		}
		if down := script(t, nil, next, "--dir", dir); down.code != 0 {
			t.Errorf("istio-down after a crash exits with %d: %s", down.code, down.err)
		}
		if now := running(dir); len(now) > 0 {
			t.Errorf("left behind: %v", now)
		}
	}
}

func TestABedWhoseDescriptionIsBrokenIsEnded(t *testing.T) {
	dir := folder(t)
	command, _ := begin(t, dir)
	command.Process.Kill()
	command.Wait()
	if left := running(dir); len(left) < 2 {
		t.Errorf("nothing was left behind that could be ended: %v", left)
	}
	if err := os.WriteFile(dir+"/bed.json", []byte("{broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if down := script(t, nil, "istio-down", "--dir", dir); down.code != 0 || !strings.Contains(down.err, "cannot be read") {
		t.Errorf("istio-down exits with %d: %s", down.code, down.err)
	}
	if now := running(dir); len(now) > 0 {
		t.Errorf("left behind: %v", now)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("%s is still there", dir)
	}
}

func TestTheLockOfSomebodyElseIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"lock", "letter.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if down := script(t, nil, "istio-down", "--dir", dir); down.code != 0 || !strings.Contains(down.err, "there is no bed") {
		t.Errorf("istio-down exits with %d: %s", down.code, down.err)
	}
	if _, err := os.Stat(dir + "/lock"); err != nil {
		t.Error("the lock is gone")
	}
}

func TestWhatIsNoBedIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/letter.txt", []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	if up := script(t, nil, "istio-up", "--dir", dir); up.code != 2 || !strings.Contains(up.err, "not a bed's") {
		t.Errorf("istio-up exits with %d: %s", up.code, up.err)
	}
	if down := script(t, nil, "istio-down", "--dir", dir); down.code != 0 || !strings.Contains(down.err, "there is no bed") {
		t.Errorf("istio-down exits with %d: %s", down.code, down.err)
	}
	if text, _ := os.ReadFile(dir + "/letter.txt"); string(text) != "dear" {
		t.Error("the letter is gone")
	}
}

func TestABadFlagIsRefused(t *testing.T) {
	for _, flags := range [][]string{{"--proxies", "0"}, {"--proxies", "many"}, {"--workers", "0"}, {"--agents"}, {"word"}} {
		dir := filepath.Join(t.TempDir(), "bed")
		if up := script(t, nil, "istio-up", append(flags, "--dir", dir)...); up.code != 2 || up.out != "" {
			t.Errorf("%v: exits with %d: %s", flags, up.code, up.err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%v: left %s behind", flags, dir)
		}
	}
}

func TestWhatIsMissingIsSaidInOneSentence(t *testing.T) {
	// A machine without Go, and without the programs.
	tools := t.TempDir()
	for _, folder := range []string{"/usr/bin", "/bin"} {
		entries, _ := os.ReadDir(folder)
		for _, entry := range entries {
			if name := entry.Name(); name != "go" {
				os.Symlink(filepath.Join(folder, name), filepath.Join(tools, name))
			}
		}
	}
	empty := []string{"PATH=" + tools, "XDG_CACHE_HOME=" + t.TempDir(), "CUTOVER_CLUSTER_BIN=", "CUTOVER_ENVOY=" + tools + "/cat"}
	without := script(t, empty, "istio-up", "--dir", filepath.Join(t.TempDir(), "bed"))
	if without.code != 75 || strings.Count(without.err, "\n") != 1 || !strings.Contains(without.err, "Go is not installed") {
		t.Errorf("without Go: exits with %d: %s", without.code, without.err)
	}
	absent := []string{"CUTOVER_ENVOY=/nowhere/envoy"}
	if without := script(t, absent, "istio-up", "--dir", filepath.Join(t.TempDir(), "bed")); without.code != 3 || !strings.Contains(without.err, "CUTOVER_ENVOY") {
		t.Errorf("without Envoy: exits with %d: %s", without.code, without.err)
	}
}
