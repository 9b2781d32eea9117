// Command objectstore serves one folder of this machine as a real S3 endpoint, so that local mode and the tests talk to
// the same protocol as production. It is a module of its own: the gateway it embeds brings many dependencies that the
// functions must not carry.
//
// When it accepts connections it writes the line "listening on HOST:PORT" to standard output and closes it. Everything
// else goes to standard error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"
)

const (
	// maxConnections is far above what the clients of one machine open, and far below the usual limit of 1,024 open files
	// that a request's connection, object and directory count against.
	maxConnections = 256
	// maxParts is the S3 limit.
	maxParts = 10_000
	// portAttempts bounds the search for a port that no other program takes before the gateway binds it.
	portAttempts = 20
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "`address` to serve on; port 0 takes a free one")
	root := flag.String("root", "", "`folder` that holds the objects; made when missing")
	flag.Parse()

	// The gateway prints its own messages to os.Stdout, which here carries only the line with the address.
	ready := os.Stdout
	os.Stdout = os.Stderr

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *listen, *root, os.Getenv, ready)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "objectstore:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, listen, root string, getenv func(string) string, ready io.WriteCloser) error {
	access, secret := getenv("ROOT_ACCESS_KEY"), getenv("ROOT_SECRET_KEY")
	if root == "" || access == "" || secret == "" {
		return errors.New("give --root, and the credentials in ROOT_ACCESS_KEY and ROOT_SECRET_KEY")
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	for attempt := 1; ; attempt++ {
		address := listen
		if port == "0" {
			if address, err = freeAddress(host); err != nil {
				return err
			}
		}
		err := serve(ctx, address, root, access, secret, ready)
		if port != "0" || !errors.Is(err, syscall.EADDRINUSE) || attempt == portAttempts {
			return err
		}
	}
}

// freeAddress returns an address of host that was free a moment ago. The gateway binds the port itself and does not report
// it, so the port is chosen here, and again if another program takes it first.
func freeAddress(host string) (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func serve(ctx context.Context, address, root, access, secret string, ready io.WriteCloser) error {
	be, err := openFolder(root)
	if err != nil {
		return err
	}
	return embedgw.RunVersityGW(ctx, be, &embedgw.Config{
		RootUserAccess:    access,
		RootUserSecret:    secret,
		Ports:             []string{address},
		MaxConnections:    maxConnections,
		MaxRequests:       maxConnections,
		MultipartMaxParts: maxParts,
		KeepAlive:         true,
		Quiet:             true,
		DisableACLs:       true,
		// Presigned links are opened from web pages of another origin: the API's port differs from ours.
		CORSAllowOrigin: "*",
		S3Options: []s3api.Option{s3api.WithOnListen(func() {
			fmt.Fprintln(ready, "listening on", address)
			ready.Close()
		})},
	})
}

// openFolder opens root as a store: objects as files in root/objects, their S3 metadata as extended attributes, or in
// root/metadata where the file system has none. A store that has a metadata folder keeps to it for ever.
func openFolder(root string) (*posix.Posix, error) {
	objects, sidecar := filepath.Join(root, "objects"), filepath.Join(root, "metadata")
	if err := os.MkdirAll(objects, 0o700); err != nil {
		return nil, err
	}
	var opts posix.PosixOpts
	opts.SetNewDirPerm(0o700)
	opts.SetNewFilePerm(0o600)
	if _, err := os.Stat(sidecar); errors.Is(err, os.ErrNotExist) && attributesWork(root) {
		return posix.New(objects, meta.XattrMeta{}, opts)
	}
	if err := os.MkdirAll(sidecar, 0o700); err != nil {
		return nil, err
	}
	store, err := meta.NewSideCar(sidecar)
	if err != nil {
		return nil, err
	}
	opts.SideCarDir = sidecar
	return posix.New(objects, store, opts)
}

// attributesWork tries a write: some sandboxes and network file systems answer reads of extended attributes but
// refuse writes.
func attributesWork(dir string) bool {
	f, err := os.CreateTemp(dir, ".attributes-*")
	if err != nil {
		return false
	}
	defer func() { _ = os.Remove(f.Name()) }()
	defer f.Close()
	return meta.XattrMeta{}.StoreAttribute(f, "", "", "probe", []byte("1")) == nil
}
