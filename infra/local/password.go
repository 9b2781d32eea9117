package local

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sumo-k8/sumo-k8/pkg/process"
)

// invalidPassword is PostgreSQL's error code for a wrong password, or a role without one.
const invalidPassword = "28P01"

// errPassword means that our password is not the cluster's superuser's.
var errPassword = errors.New("the database refuses the password")

func isPasswordRefused(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == invalidPassword
}

// loadPassword reads the superuser's password, or generates one when there is none. If the cluster has a different one, because it
// was made without any or the file was lost, startPostgres sets this one.
func loadPassword(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if password := strings.TrimSpace(string(text)); password != "" {
		return password, nil
	}
	password := rand.Text()
	return password, writeSecret(path, []byte(password+"\n"))
}

// setPassword sets the superuser's password while no server runs on the cluster. A single-user backend needs no password, so the
// cluster never accepts connections without one; a backend that is killed leaves the old password or the new one.
func setPassword(ctx context.Context, binaries, data string, account account, settings []string, password string) error {
	verifier, err := scramVerifier(password)
	if err != nil {
		return fmt.Errorf("set the database's password: %w", err)
	}
	args := []string{"--single", "-D", data, "-c", "exit_on_error=on"}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	var out bytes.Buffer
	cmd := account.command(filepath.Join(binaries, "postgres"), append(args, "postgres")...)
	cmd.Stdin = strings.NewReader("ALTER ROLE " + superuser + " PASSWORD '" + verifier + "'\n")
	cmd.Stdout, cmd.Stderr = &out, &out
	p, err := process.Start(cmd, process.Options{})
	if err != nil {
		return fmt.Errorf("set the database's password: %w", err)
	}
	stop := context.AfterFunc(ctx, p.Kill)
	defer stop()
	if err := p.Wait(); err != nil {
		return fmt.Errorf("set the database's password: %w: %s", errors.Join(ctx.Err(), err), bytes.TrimSpace(out.Bytes()))
	}
	return nil
}

// scramVerifier is the form in which PostgreSQL stores a password (RFC 5803), so that the password itself appears in no statement
// and no log. The password must be ASCII, which needs no normalisation.
func scramVerifier(password string) (string, error) {
	const iterations = 4096 // PostgreSQL's own
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	keyFor := func(purpose string) []byte {
		mac := hmac.New(sha256.New, salted)
		mac.Write([]byte(purpose))
		return mac.Sum(nil)
	}
	stored := sha256.Sum256(keyFor("Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, encode(salt), encode(stored[:]), encode(keyFor("Server Key"))), nil
}
