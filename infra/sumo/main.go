// Command sumo installs versions of SUMO on this machine, side by side.
//
//	sumo install [--dir FOLDER] [VERSION...]
//	sumo controllers [--dir FOLDER] [--python PROGRAM] [VERSION...]
//
// controllers also installs what programs of a scenario run with: libsumo of each version, and the packages that all share, for the
// system's own Python unless another is given.
//
// A version is one on offer such as 1.28, or one of the words newest, which is the default, oldest and all. What is installed
// already is left alone. The exit code is 2 where wheels cannot be had, so that callers can turn to the system's own package.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/sumo-k8/sumo-k8/infra/sumo/wheel"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:])
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "sumo:", err)
	if errors.Is(err, wheel.ErrUnavailable) {
		os.Exit(2)
	}
	os.Exit(1)
}

func run(ctx context.Context, args []string) error {
	usage := errors.New("usage: sumo install [--dir FOLDER] [VERSION...] | sumo controllers [--dir FOLDER] [--python PROGRAM] [VERSION...]")
	if len(args) == 0 || (args[0] != "install" && args[0] != "controllers") {
		return usage
	}
	controllers := args[0] == "controllers"
	flags := flag.NewFlagSet("sumo "+args[0], flag.ContinueOnError)
	dir := flags.String("dir", "", "`folder` of the installations (default: sumo-k8/sumo in the user's cache folder)")
	var interpreter string
	if controllers {
		flags.StringVar(&interpreter, "python", "", "`program` that runs the programs (default: the system's python3)")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return usage
	}
	if *dir == "" {
		shared, err := release.Dir()
		if err != nil {
			return fmt.Errorf("finding the user's cache folder: %w", err)
		}
		*dir = shared
	}
	versions := flags.Args()
	if len(versions) == 0 {
		versions = []string{wheel.Newest}
	}
	if !controllers {
		return wheel.Install(ctx, *dir, os.Stdout, versions...)
	}
	python, err := wheel.FindInterpreter(ctx, interpreter)
	if err != nil {
		return err
	}
	return wheel.Controllers(ctx, *dir, os.Stdout, python, versions...)
}
