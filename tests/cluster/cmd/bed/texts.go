package main

import (
	"bytes"
	"embed"
	"text/template"
)

//go:embed *.yaml
var texts embed.FS

// fill fills in one of the texts beside this file.
func fill(name string, values any) ([]byte, error) {
	parsed, err := template.New(name).Option("missingkey=error").ParseFS(texts, name)
	if err != nil {
		return nil, err
	}
	var filled bytes.Buffer
	err = parsed.Execute(&filled, values)
	return filled.Bytes(), err
}
