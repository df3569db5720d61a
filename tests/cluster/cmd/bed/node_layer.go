package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path"
	"strings"
)

// layer is the one layer of an image, in the making: a tar of a root file system.
type layer struct {
	file   *os.File
	digest interface {
		io.Writer
		Sum([]byte) []byte
	}
	tar *tar.Writer
	has map[string]bool
	err error
}

func newLayer(folder string) (*layer, error) {
	file, err := os.CreateTemp(folder, "layer")
	if err != nil {
		return nil, err
	}
	digest := sha256.New()
	return &layer{file: file, digest: digest, tar: tar.NewWriter(io.MultiWriter(file, digest)), has: map[string]bool{"/": true}}, nil
}

func (l *layer) close() {
	l.file.Close()
	os.Remove(l.file.Name())
}

// folder adds a folder, and those above it.
func (l *layer) folder(name string, mode int64) {
	if l.has[name] {
		return
	}
	l.folder(path.Dir(name), 0o755)
	l.add(&tar.Header{Name: name, Mode: mode, Typeflag: tar.TypeDir}, nil)
}

// text adds a file.
func (l *layer) text(name, text string) {
	l.add(&tar.Header{Name: name, Mode: 0o644, Typeflag: tar.TypeReg, Size: int64(len(text))}, strings.NewReader(text))
}

// link adds a symbolic link.
func (l *layer) link(name, to string) {
	l.add(&tar.Header{Name: name, Mode: 0o777, Typeflag: tar.TypeSymlink, Linkname: to}, nil)
}

// copy adds a file of this machine.
func (l *layer) copy(source, name string) {
	if l.err != nil || l.has[name] {
		return
	}
	file, err := os.Open(source)
	if err != nil {
		l.err = err
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		l.err = err
		return
	}
	l.add(&tar.Header{Name: name, Mode: int64(info.Mode().Perm() | 0o444), Typeflag: tar.TypeReg, Size: info.Size()}, file)
}

// program adds a binary and its libraries. They lie where the loader looks, whichever folder they were found in.
func (l *layer) program(source, name string, environment map[string]string) {
	l.copy(source, name)
	needed, err := libraries(source, environment)
	if err != nil && l.err == nil {
		l.err = err
	}
	for _, library := range needed {
		to := library
		if below := environment["LD_LIBRARY_PATH"]; below != "" && strings.HasPrefix(library, below+"/") {
			to = "/usr/lib/" + path.Base(library)
		}
		l.copy(library, to)
	}
}

func (l *layer) add(header *tar.Header, content io.Reader) {
	if l.err != nil || l.has[header.Name] {
		return
	}
	l.folder(path.Dir(header.Name), 0o755)
	l.has[header.Name] = true
	header.Name = strings.TrimPrefix(header.Name, "/")
	if l.err = l.tar.WriteHeader(header); l.err == nil && content != nil {
		_, l.err = io.Copy(l.tar, content)
	}
}

// imageConfig is what a container of the image starts as.
type imageConfig struct {
	User       string
	Env        []string
	Entrypoint []string
}

// image writes the image as `docker save` would.
func (l *layer) image(out io.Writer, name string, config imageConfig) error {
	if l.err == nil {
		l.err = l.tar.Close()
	}
	if l.err != nil {
		return l.err
	}
	size, err := l.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := l.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	described, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "config": config,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(l.digest.Sum(nil))}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	archive := tar.NewWriter(out)
	for _, part := range []struct {
		name    string
		size    int64
		content io.Reader
	}{
		{"manifest.json", int64(len(manifest)), bytes.NewReader(manifest)},
		{"config.json", int64(len(described)), bytes.NewReader(described)},
		{"layer.tar", size, l.file},
	} {
		if err := archive.WriteHeader(&tar.Header{Name: part.name, Mode: 0o644, Size: part.size, Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		if _, err := io.Copy(archive, part.content); err != nil {
			return err
		}
	}
	return archive.Close()
}
