package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
)

// user is someone whom the API server knows by a token.
type user struct{ name, groups string }

// users are there to try what RBAC lets through: one may do anything, one is in a group that roles can be bound to, one is nobody.
var users = []user{{"admin", "system:masters"}, {"alice", "cutover-users"}, {"mallory", ""}}

// writeUsers writes the token file of the API server, and a kubeconfig for each user.
func (b *Bed) writeUsers(server, authorityFile string) error {
	authority, err := os.ReadFile(authorityFile)
	if err != nil {
		return err
	}
	var tokens string
	for _, each := range users {
		secret := make([]byte, 16)
		rand.Read(secret)
		token := hex.EncodeToString(secret)
		tokens += fmt.Sprintf("%s,%s,%s,%q\n", token, each.name, each.name, each.groups)
		path := b.path(each.name + ".kubeconfig")
		text := kubeconfig(server, base64.StdEncoding.EncodeToString(authority), each.name, token)
		if err := writeFile(path, []byte(text)); err != nil {
			return err
		}
		b.Users[each.name] = path
	}
	b.Kubeconfig = b.Users["admin"]
	return writeFile(b.path("tokens.csv"), []byte(tokens))
}

func kubeconfig(server, authority, user, token string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: cutover-bed
clusters:
- name: cutover-bed
  cluster: {server: %q, certificate-authority-data: %s}
contexts:
- name: cutover-bed
  context: {cluster: cutover-bed, user: %s}
users:
- name: %s
  user: {token: %s}
`, server, authority, user, user, token)
}
