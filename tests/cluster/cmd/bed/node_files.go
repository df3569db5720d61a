package main

import (
	"embed"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// nodeTexts are the configurations of what runs on a node, to be filled in from nodeValues.
//
//go:embed node
var nodeTexts embed.FS

// nodeValues is what the configurations of a node differ in.
type nodeValues struct {
	network
	Dir, Programs, Cgroup, Registry, Hub, Tag, Pause string
}

// write fills them in and writes them into the folder of the bed.
func (v nodeValues) write() error {
	filled, err := template.New("").Option("missingkey=error").ParseFS(nodeTexts, "node/*")
	if err != nil {
		return err
	}
	folder := filepath.Join(v.Dir, "node")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	for _, each := range filled.Templates() {
		var out strings.Builder
		if err := each.Execute(&out, v); err != nil {
			return err
		}
		if err := writeFile(filepath.Join(folder, each.Name()), []byte(out.String())); err != nil {
			return err
		}
	}
	// The one plugin configuration has a folder of its own: all that is there counts.
	if err := os.Mkdir(filepath.Join(v.Dir, "cni"), 0o700); err != nil {
		return err
	}
	return os.Rename(filepath.Join(folder, "10-bridge.conflist"), filepath.Join(v.Dir, "cni", "10-bridge.conflist"))
}
