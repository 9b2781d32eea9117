package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is the module's, as the go command recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show this program's version", Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.does(func(context.Context, []string) error {
			if !a.asJSON() {
				fmt.Fprintf(a.out, "sumo-k8 %s (%s, %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
				return nil
			}
			raw, err := json.Marshal(map[string]string{"version": version(), "go": runtime.Version(),
				"platform": runtime.GOOS + "/" + runtime.GOARCH})
			if err != nil {
				return err
			}
			fmt.Fprintln(a.out, string(raw))
			return nil
		}),
	}
}
