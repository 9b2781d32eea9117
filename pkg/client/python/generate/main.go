// Command generate writes what follows from elsewhere in the Python package: types and operations from the OpenAPI document, and the
// blocking client from the asynchronous one.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// run writes into the folder of the package. Its files are written whole, and only by this program.
func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: generate OPENAPI.json FOLDER")
	}
	raw, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	types, err := typesOf(d)
	if err != nil {
		return err
	}
	operations, err := operationsOf(d)
	if err != nil {
		return err
	}
	folder := args[1]
	for name, text := range map[string]string{"types.py": types, "_async/operations.py": operations} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return blocking(filepath.Join(folder, "_async"), filepath.Join(folder, "_sync"))
}
