// Command images builds the container images without a container engine: the functions, and each version of SUMO on offer.
//
//	images build [--out FOLDER] [--refresh] [--packages REQUIREMENTS.txt] [VERSION...]
//	images push --registry REGISTRY [--out FOLDER] [VERSION...]
//	images slim sumo|debian-sumo|functions|python ROOT LAYER.tar
//	images wheel VERSION INSTALLATIONS LAYER.tar
//	images python VERSION MINOR INSTALLATIONS LAYER.tar
//
// A version of SUMO is one on offer such as 1.28, or one of the words oldest, newest and all. With -python at its end it is the image in
// which programs of a scenario steer that SUMO, and its tools run. The default is all newest-python. By its name only there also is 1.15,
// from Debian, for tenants that earlier releases gave it.
//
// build writes one OCI archive for each image. What comes from Debian is kept in the user's cache folder, so that only
// the first build needs a network; --refresh asks Debian again, for its security updates. The same packages and the same
// sources give the same digests.
//
// push copies the built images to a registry, with the credentials of docker login or podman login, and prints their names and
// digests there.
//
// slim chooses an image's files from a whole Debian system, wheel those of an installed SUMO, and python what programs need of it, compiled
// by this system's Python 3.MINOR; the Dockerfiles use them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/authn"
	"golang.org/x/term"

	"github.com/sumo-k8/sumo-k8/infra/sumo/wheel"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	usage := errors.New("usage: images build [--out FOLDER] [--refresh] [--packages REQUIREMENTS.txt] [VERSION...]" +
		" | images push --registry REGISTRY [--out FOLDER] [VERSION...]" +
		" | images slim sumo|debian-sumo|functions|python ROOT LAYER.tar | images wheel VERSION INSTALLATIONS LAYER.tar" +
		" | images python VERSION MINOR INSTALLATIONS LAYER.tar")
	if len(args) == 0 {
		return usage
	}
	command, args := args[0], args[1:]
	flags := flag.NewFlagSet("images "+command, flag.ContinueOnError)
	out := flags.String("out", filepath.Join(".local", "images"), "`folder` of the archives")
	switch command {
	case "slim":
		if len(args) != 3 {
			return usage
		}
		source, ok := sources[args[0]]
		if !ok {
			return usage
		}
		return source.writeLayer(args[1], args[2])
	case "wheel":
		if len(args) != 3 {
			return usage
		}
		files, err := sumoFiles(args[1], args[0], "")
		if err != nil {
			return err
		}
		return writeLayer(files, args[2])
	case "python":
		if len(args) != 4 {
			return usage
		}
		minor, err := strconv.Atoi(args[1])
		if err != nil {
			return usage
		}
		return writePython(ctx, wheel.Python{Minor: minor, Architecture: runtime.GOARCH}, args[2], args[0], args[3])
	case "build":
		refresh := flags.Bool("refresh", false, "get Debian's packages again")
		requirements := flags.String("packages", "", "`file` of packages to add to images for programs, as pip reads it")
		if err := flags.Parse(args); err != nil {
			return err
		}
		recipes, err := chosen(flags.Args())
		if err != nil {
			return err
		}
		sumo, err := release.Dir()
		if err != nil {
			return err
		}
		cache, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("finding the user's cache folder: %w", err)
		}
		b := builder{
			out: *out, cache: filepath.Join(cache, "sumo-k8", "images"), sumo: sumo, recipes: recipes, refresh: *refresh,
			requirements: *requirements, mirror: findMirror, log: os.Stdout,
		}
		return b.build(ctx)
	case "push":
		registry := flags.String("registry", "", "`registry` to push to, optionally with a path")
		tag := flags.String("tag", "", "`version` to tag the images with, such as v1.0.0; SUMO's get 1.28-v1.0.0")
		if err := flags.Parse(args); err != nil {
			return err
		}
		recipes, err := chosen(flags.Args())
		if err != nil {
			return err
		}
		if *registry == "" {
			return usage
		}
		p := pusher{out: *out, registry: *registry, tag: *tag, recipes: recipes, keys: authn.DefaultKeychain, log: os.Stdout}
		if term.IsTerminal(int(os.Stderr.Fd())) {
			p.bars = os.Stderr
		}
		return p.push(ctx)
	}
	return usage
}

// chosen returns the recipes of the functions and of the versions that args name, by default all on offer and the newest for programs, on
// the machine's own architecture.
func chosen(args []string) ([]recipe, error) {
	if len(args) == 0 {
		args = []string{wheel.All, wheel.Newest + suffix}
	}
	var offered, programs []string
	var others []recipe
	for _, version := range args {
		forPrograms, is := strings.CutSuffix(version, suffix)
		switch r := packagedRecipe(version); {
		case is:
			programs = append(programs, forPrograms)
		case r.suite == "":
			offered = append(offered, version)
		case !slices.ContainsFunc(others, func(o recipe) bool { return o.name == r.name }):
			others = append(others, r)
		}
	}
	var releases, withPython []release.Release
	var err error
	if len(offered) > 0 { // otherwise no wheel need exist for this machine
		releases, err = wheel.Choose(runtime.GOARCH, offered...)
	}
	if err == nil && len(programs) > 0 {
		withPython, err = wheel.Choose(runtime.GOARCH, programs...)
	}
	if err != nil {
		return nil, err
	}
	recipes := append(recipesFor(releases), others...)
	for _, r := range withPython {
		recipes = append(recipes, pythonRecipe(r))
	}
	return recipes, nil
}
