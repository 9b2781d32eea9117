package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

func (a *app) manifestCommand() *cobra.Command {
	return &cobra.Command{
		Use: "manifest JOB", Short: "Print what a run was made from and the checksums of its results",
		Long: `Prints the manifest of a finished job as JSON: its scenario, options and seed, the build of SUMO, and the checksums of
its results. sumo-k8 reproduce runs it again.`,
		Example: "  sumo-k8 manifest @latest > run.manifest.json",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: a.jobIDs(1, nil),
		RunE: a.does(func(ctx context.Context, args []string) error {
			api, id, err := a.named(ctx, args[0])
			if err != nil {
				return err
			}
			m, err := api.Manifest(ctx, id)
			if err != nil {
				return err
			}
			return a.indented(m.JSON())
		}),
	}
}

// indented prints a document for people and programs alike.
func (a *app) indented(document json.RawMessage) error {
	var value any
	if err := json.Unmarshal(document, &value); err != nil {
		return err
	}
	out := json.NewEncoder(a.out)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(value)
}

// different is a repetition that left other results, which was shown already.
type different struct{}

func (*different) Error() string { return "the results differ" }

func (a *app) reproduceCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use: "reproduce MANIFEST", Short: "Run again what a manifest describes, and compare the results",
		Long: `Runs again what a manifest describes (a file, or - for the standard input), waits for the end, and compares the results by
their checksums. Dates, paths and computing times do not count, and files with nothing else are not compared. The exit
code is 1 if a result differs, is missing or is new. A run of a study is repeated as a study of one run.

The scenario must be stored, as it is where the manifest was made. --scenario stores it first.`,
		Example: `  sumo-k8 manifest @latest > run.manifest.json
  sumo-k8 reproduce run.manifest.json
  sumo-k8 reproduce run.manifest.json --scenario city.zip`,
		Args: cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&path, "scenario", "", "store this zip or folder first; it must be the manifest's scenario")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		m, err := a.readManifest(args[0])
		if err != nil {
			return err
		}
		api, err := a.tenant()
		if err != nil {
			return err
		}
		if path != "" {
			if err := a.storeFor(ctx, m, path); err != nil {
				return err
			}
		}
		j, err := api.Reproduce(ctx, m)
		if refused := new(client.Error); errors.As(err, &refused) && refused.Code == problem.NotFound && path == "" {
			a.note("The scenario of the manifest is not stored here. Name its zip or folder with --scenario.")
		}
		if err != nil {
			return err
		}
		a.note("Job %s runs it again.", j.ID)
		if err := a.follow(ctx, api, j.ID, io.Discard); err != nil && !errors.As(err, new(*jobEnd)) {
			return err
		}
		again, err := api.Manifest(ctx, j.ID)
		if err != nil {
			return err
		}
		return a.reproduced(m, again.Manifest)
	})
	return c
}

// maxManifest is far more than the manifest of a run with as many files as are stored.
const maxManifest = 64 << 20

func (a *app) readManifest(path string) (m job.Manifest, err error) {
	in := a.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return m, err
		}
		defer f.Close()
		in = f
	}
	if err := json.NewDecoder(io.LimitReader(in, maxManifest)).Decode(&m); err != nil {
		return m, fmt.Errorf("%s is not a manifest: %w", path, err)
	}
	if m.JobID == "" || m.Scenario.ID == "" {
		return m, fmt.Errorf("%s is not a manifest: it names no job and no scenario. sumo-k8 manifest JOB prints one", path)
	}
	return m, nil
}

// storeFor stores the scenario of m, and refuses another one.
func (a *app) storeFor(ctx context.Context, m job.Manifest, path string) error {
	send := (*client.Client).Store
	if m.Options.Program() {
		send = (*client.Client).StoreForProgram
	}
	s, err := upload(ctx, a, path, send)
	if err != nil || s.ID == m.Scenario.ID {
		return err
	}
	if d := m.Scenario.Derived; d != nil {
		if s.ID != d.Base {
			return fmt.Errorf("%s is the scenario %s, and the manifest's was derived from %s", path, s.ID, d.Base)
		}
		return fmt.Errorf("%s is the base of the manifest's scenario %s, which differs from it in %d files: make it with "+
			"sumo-k8 scenarios derive, and repeat the command without --scenario", path, m.Scenario.ID,
			len(d.Changed)+len(d.Added)+len(d.Deleted))
	}
	return fmt.Errorf("%s is the scenario %s, and the manifest's is %s: give the same zip, byte by byte", path, s.ID, m.Scenario.ID)
}

// reproduced shows how a run compares with the one it repeats.
func (a *app) reproduced(m, again job.Manifest) error {
	c := m.Compare(again)
	if a.asJSON() {
		raw, err := json.Marshal(struct {
			JobID string `json:"job_id"`
			job.ManifestComparison
		}{again.JobID, c})
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s\n", raw)
	} else {
		rows := [][]string{{"FILE", "RESULT", ""}}
		for _, f := range c.Files {
			rows = append(rows, []string{f.Name, string(f.Verdict), f.Remark})
		}
		a.table(rows)
		for _, n := range c.Notes {
			a.note("%s", n)
		}
		if c.Same {
			a.note("Every compared result is the same as that of job %s.", m.JobID)
		} else {
			a.note("The results are not those of job %s.", m.JobID)
		}
	}
	if !c.Same {
		return &different{}
	}
	return nil
}
