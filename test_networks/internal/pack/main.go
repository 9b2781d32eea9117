// Command pack turns the folders that generate.sh builds into the committed zips, and compares and measures them.
//
//	pack build SCENARIOS OUT   write OUT/ready_to_use and OUT/broken from the folders in SCENARIOS
//	pack compare OLD NEW       name the zips that differ in what they contain; exit 1 when there are any
//	pack survey DIR            run DIR/ready_to_use with the newest SUMO installed and write the table into DIR/README.md
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/test_networks/internal/survey"
)

// The folders of zips, as they are committed.
const (
	readyFolder  = "ready_to_use"
	brokenFolder = "broken"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 3 && args[0] == "build":
		return build(args[1], args[2])
	case len(args) == 3 && args[0] == "compare":
		return compare(args[1], args[2])
	case len(args) == 2 && args[0] == "survey":
		installations, err := release.Dir()
		if err != nil {
			return err
		}
		installed := release.Installed(installations)
		if len(installed) == 0 {
			return errors.New("SUMO is not installed: run make sumo")
		}
		return survey.Update(ctx, installed[len(installed)-1], filepath.Join(args[1], readyFolder), filepath.Join(args[1], "README.md"))
	}
	return errors.New("usage: pack build SCENARIOS OUT | pack compare OLD NEW | pack survey DIR")
}

// build packs every folder in scenarios, and the broken variants of the one called square.
func build(scenarios, out string) error {
	folders, err := os.ReadDir(scenarios)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		files, err := readFolder(filepath.Join(scenarios, folder.Name()))
		if err != nil {
			return fmt.Errorf("read scenario %s: %w", folder.Name(), err)
		}
		if err := write(filepath.Join(out, readyFolder, folder.Name()+".zip"), pack(files)); err != nil {
			return err
		}
		if folder.Name() != "square" {
			continue
		}
		for _, b := range brokenArchives {
			if err := write(filepath.Join(out, brokenFolder, b.file), b.build(files)); err != nil {
				return err
			}
		}
	}
	return nil
}

func write(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}
