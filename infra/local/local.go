// Package local runs the servers of one machine: a private Postgres and an S3 server. They listen where only this user
// reaches them, keep everything in a data folder, and never outlive the process that started them.
package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// openLog opens a server's log file for one run and keeps the previous one beside it: enough to explain a crash, without
// growing for ever.
func openLog(path string) (*os.File, error) {
	if err := os.Rename(path, path+".previous"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("keep the previous log: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return f, nil
}

// writeSecret writes a file that only we can read. It is written under another name and renamed, so that a crash leaves no
// partial file.
func writeSecret(path string, text []byte) error {
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// logTail returns the end of a log file, for the error about the server that wrote it.
func logTail(path string) string {
	// tailSize is a few lines: a server's last messages before it gives up.
	const tailSize = 1 << 10
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-tailSize):])
}
