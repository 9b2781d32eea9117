package local

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/disk"
	"github.com/sumo-k8/sumo-k8/pkg/process"
)

const (
	// storeStart is many times what the object store takes on a busy machine.
	storeStart = 30 * time.Second
	// storeStop is short: by then our own requests are done, while the gateway would wait 10 s for a connection that some
	// client opened and never used. Stored objects do not depend on a clean end.
	storeStop = time.Second
)

// ObjectStore is a running S3 server on loopback.
type ObjectStore struct {
	process  *process.Process
	endpoint string
	keys     keys
	log      zerolog.Logger
}

// keys are the server's root credentials.
type keys struct {
	Access string `json:"access_key"`
	Secret string `json:"secret_key"`
}

// StartObjectStore serves dir, which it makes when missing, with the program built from infra/local/objectstore, on a free port
// of loopback. Its credentials are made at the first start and kept in dir. It returns when the
// server accepts requests; ctx bounds the start only.
func StartObjectStore(ctx context.Context, dir, binary string, log zerolog.Logger) (*ObjectStore, error) {
	objects := filepath.Join(dir, "objects") // as the program names it
	if err := os.MkdirAll(objects, 0o700); err != nil {
		return nil, fmt.Errorf("make the object store's folder: %w", err)
	}
	_ = disk.Spread(objects) // buckets, which stay, lie away from what comes and goes on the disk
	k, err := loadKeys(filepath.Join(dir, "credentials.json"))
	if err != nil {
		return nil, fmt.Errorf("object store credentials: %w", err)
	}
	logFile, err := openLog(filepath.Join(dir, "objectstore.log"))
	if err != nil {
		return nil, fmt.Errorf("object store: %w", err)
	}
	defer logFile.Close()
	ready, announced, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ready.Close()

	cmd := exec.Command(binary, "--listen", "127.0.0.1:0", "--root", dir)
	cmd.Env = []string{"ROOT_ACCESS_KEY=" + k.Access, "ROOT_SECRET_KEY=" + k.Secret}
	cmd.Stdout, cmd.Stderr = announced, logFile
	p, err := process.Start(cmd, process.Options{})
	announced.Close()
	if err != nil {
		return nil, fmt.Errorf("object store: %w", err)
	}

	// The pipe ends after the one line that names the address, or with the server.
	stopWaiting := context.AfterFunc(ctx, func() { _ = ready.SetReadDeadline(time.Now()) })
	defer stopWaiting()
	_ = ready.SetReadDeadline(time.Now().Add(storeStart)) // pipes have deadlines
	line, err := io.ReadAll(ready)
	address, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "listening on ")
	if err != nil || !ok {
		p.Kill()
		return nil, fmt.Errorf("the object store did not start: %w; its log ends: %s",
			errors.Join(ctx.Err(), err, p.Wait()), logTail(logFile.Name()))
	}
	o := &ObjectStore{process: p, endpoint: "http://" + address, keys: k, log: log}
	log.Info().Str("endpoint", o.endpoint).Str("folder", dir).Int("pid", p.Pid()).Msg("object store is ready")
	return o, nil
}

// loadKeys reads the credentials in the file at path, or generates them and writes them there.
func loadKeys(path string) (keys, error) {
	var k keys
	text, err := os.ReadFile(path)
	if err == nil {
		if err := json.Unmarshal(text, &k); err != nil || k.Access == "" || k.Secret == "" {
			return keys{}, fmt.Errorf("%s is damaged: remove it to generate new keys", path)
		}
		return k, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return keys{}, err
	}
	k = keys{Access: "local-" + rand.Text()[:8], Secret: rand.Text()}
	text, err = json.MarshalIndent(k, "", "  ")
	if err != nil {
		return keys{}, err
	}
	return k, writeSecret(path, append(text, '\n'))
}

// Endpoint is the server's base URL. Buckets are addressed in the path.
func (o *ObjectStore) Endpoint() string { return o.endpoint }

// AccessKey is the root user's access key.
func (o *ObjectStore) AccessKey() string { return o.keys.Access }

// SecretKey is the root user's secret key.
func (o *ObjectStore) SecretKey() string { return o.keys.Secret }

// Pid is the server's process id.
func (o *ObjectStore) Pid() int { return o.process.Pid() }

// Done is closed when the server has ended, asked to or not.
func (o *ObjectStore) Done() <-chan struct{} { return o.process.Done() }

// Stop ends the server, and with it requests that take longer than a second. It is an error if the server had ended
// before.
func (o *ObjectStore) Stop() error {
	select {
	case <-o.Done():
		return fmt.Errorf("the object store ended by itself: %w", o.process.Wait())
	default:
	}
	// Ended by the signal or killed: either way it has ended.
	_ = o.process.Stop(context.Background(), storeStop)
	o.log.Info().Msg("object store has stopped")
	return nil
}
