package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
)

// databaseName is the database made for SUMO-K8.
const databaseName = "sumo_k8"

// credentials are for the servers that run on the host.
type credentials struct {
	S3AccessKey      string
	S3SecretKey      string
	DatabasePassword string
}

// openCredentials reads the credentials, or makes them at the first start.
func openCredentials(l layout) (credentials, error) {
	var c credentials
	file := filepath.Join(l.run, "credentials.json")
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c = credentials{S3AccessKey: "lab-" + rand.Text()[:8], S3SecretKey: rand.Text(), DatabasePassword: rand.Text()}
		if text, err = json.Marshal(c); err == nil {
			err = os.WriteFile(file, text, 0o600)
		}
	case err == nil:
		err = json.Unmarshal(text, &c)
	}
	if err == nil {
		err = os.WriteFile(l.environment(), []byte(c.environment(l)), 0o600)
	}
	return c, err
}

// environment has the lab's addresses and credentials in the form of the functions' settings.
func (l layout) environment() string { return filepath.Join(l.run, "environment") }

func (c credentials) environment(l layout) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("postgres", c.DatabasePassword), Host: database, Path: "/" + databaseName,
		RawQuery: "sslmode=disable",
	}
	return fmt.Sprintf("KUBECONFIG=%s\nS3_ENDPOINT=http://%s\nS3_ACCESS_KEY=%s\nS3_SECRET_KEY=%s\nDATABASE_URL=%s\n",
		l.kubeconfig(admin), s3, c.S3AccessKey, c.S3SecretKey, &u)
}
