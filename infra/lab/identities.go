package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sumo-k8/sumo-k8/infra/lab/internal/certificate"
)

// Names of certificates, which are those of their files as well.
const (
	clusterAuthority = "ca"
	etcdAuthority    = "etcd-ca"
	serviceAccounts  = "service-accounts"
	admin            = "admin"
)

// clients are the holders of a kubeconfig, with the groups to which Kubernetes' built-in roles give the rights that
// they need.
var clients = map[string]certificate.Subject{
	admin:                {Name: "lab-admin", Groups: []string{"system:masters"}},
	"controller-manager": {Name: "system:kube-controller-manager"},
	"scheduler":          {Name: "system:kube-scheduler"},
	"kubelet":            {Name: "system:node:" + node, Groups: []string{"system:nodes"}},
	"proxy":              {Name: "system:kube-proxy"},
	"router":             {Name: "lab:kube-router"},
}

// certify makes every certificate and kubeconfig that is missing.
func certify(l layout) error {
	err := errors.Join(os.MkdirAll(filepath.Join(l.run, "pki"), 0o700), os.MkdirAll(filepath.Join(l.run, "kubeconfig"), 0o700))
	if err != nil {
		return err
	}
	cluster, err := certificate.OpenAuthority(l.pair(clusterAuthority), "sumo-k8-lab")
	if err != nil {
		return err
	}
	// A separate authority, or every client of the cluster could read and write the store, bypassing the API server.
	store, err := certificate.OpenAuthority(l.pair(etcdAuthority), "sumo-k8-lab-etcd")
	if err != nil {
		return err
	}
	err = errors.Join(
		cluster.Ensure(l.pair("apiserver"), certificate.Subject{Name: "kube-apiserver", Hosts: []string{
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
			"localhost", "127.0.0.1", address, apiService,
		}}),
		cluster.Ensure(l.pair("apiserver-kubelet"), certificate.Subject{Name: "kube-apiserver-kubelet-client"}),
		cluster.Ensure(l.pair("kubelet-server"), certificate.Subject{Name: node, Hosts: []string{node, address}}),
		store.Ensure(l.pair("etcd"), certificate.Subject{Name: "etcd", Hosts: []string{"localhost", "127.0.0.1"}}),
		store.Ensure(l.pair("apiserver-etcd"), certificate.Subject{Name: "kube-apiserver"}),
		certificate.EnsureKey(l.pair(serviceAccounts).Key),
	)
	for name, subject := range clients {
		err = errors.Join(err, cluster.Ensure(l.pair(name), subject), writeKubeconfig(l, name))
	}
	return err
}

// userKubeconfig makes a kubeconfig for a user without any group, whose only rights are those that a test grants to the name.
func userKubeconfig(l layout, name string) (path string, err error) {
	if name == "" || filepath.Base(name) != name || name[0] == '.' {
		return "", fmt.Errorf("%q cannot be a user's name here", name)
	}
	if _, err := os.Stat(l.pair(clusterAuthority).Key); err != nil {
		return "", errors.New("the lab is not up: start it with make lab-up")
	}
	if _, known := clients[name]; known {
		return l.kubeconfig(name), nil
	}
	cluster, err := certificate.OpenAuthority(l.pair(clusterAuthority), "sumo-k8-lab")
	if err != nil {
		return "", err
	}
	// The prefix distinguishes users from the certificates of programs.
	file := "user-" + name
	err = errors.Join(cluster.Ensure(l.pair(file), certificate.Subject{Name: name}), writeKubeconfig(l, file))
	return l.kubeconfig(file), err
}

// writeKubeconfig writes a kubeconfig for the holder of a certificate, complete in one file, so that it can be copied.
func writeKubeconfig(l layout, name string) error {
	var parts [3]string
	for i, file := range []string{l.pair(clusterAuthority).Certificate, l.pair(name).Certificate, l.pair(name).Key} {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		parts[i] = base64.StdEncoding.EncodeToString(text)
	}
	return os.WriteFile(l.kubeconfig(name), fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {server: "%s", certificate-authority-data: %s}}]
users: [{name: %[3]s, user: {client-certificate-data: %[4]s, client-key-data: %[5]s}}]
contexts: [{name: lab, context: {cluster: lab, user: %[3]s}}]
current-context: lab
`, apiServer, parts[0], name, parts[1], parts[2]), 0o600)
}
