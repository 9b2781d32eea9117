// Command images builds the container images without a container engine: the functions, and each version of SUMO that
// Debian carries.
//
//	images build [--out FOLDER] [--refresh]
//	images slim sumo|functions ROOT LAYER.tar
//
// build writes one OCI archive for each image. What comes from Debian is kept in the user's cache folder, so that only
// the first build needs a network; --refresh asks Debian again, for its security updates. The same packages and the same
// sources give the same digests.
//
// slim chooses an image's files from a whole Debian system; build and the Dockerfiles use it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:]); errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	usage := errors.New("usage: images build [--out FOLDER] [--refresh] | images slim sumo|functions ROOT LAYER.tar")
	switch {
	case len(args) == 4 && args[0] == "slim":
		source, ok := sources[args[1]]
		if !ok {
			return usage
		}
		return source.writeLayer(args[2], args[3])
	case len(args) >= 1 && args[0] == "build":
		flags := flag.NewFlagSet("images build", flag.ContinueOnError)
		out := flags.String("out", filepath.Join(".local", "images"), "`folder` for the archives")
		refresh := flags.Bool("refresh", false, "ask Debian for the packages again")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		if flags.NArg() > 0 {
			return usage
		}
		cache, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("finding the user's cache folder: %w", err)
		}
		b := builder{out: *out, cache: filepath.Join(cache, "sumo-k8", "images"), refresh: *refresh, mirror: findMirror, log: os.Stdout}
		return b.build(ctx)
	}
	return usage
}
