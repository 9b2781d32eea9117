// Command openapi writes the OpenAPI document of all functions to the given file.
package main

import (
	"fmt"
	"os"

	"github.com/sumo-k8/sumo-k8/functions/internal/app"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: openapi FILE")
	}
	document, err := app.Document()
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], document, 0o644)
}
