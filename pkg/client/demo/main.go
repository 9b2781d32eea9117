// Command demo demonstrates the whole path over HTTP: it registers a tenant, submits scenarios, follows their runs, leaves
// results, a table and plots, and asks a question of many runs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/service"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first Ctrl-C ends the demo gracefully; a second one ends it at once, and the kernel then stops the server.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, time.Now()))
}

// options are the options of the command line.
type options struct {
	server    string // path of the local server's binary; empty when one is running at url
	data      string // folder of the server that we start
	url       string
	adminKey  string
	networks  string
	out       string
	scenarios []string
}

func parseOptions(args []string, usage io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.StringVar(&o.server, "server", "", "start this `binary` of the local server, and stop it at the end")
	flags.StringVar(&o.data, "data", filepath.Join(".local", "demo"), "`folder` of the server's data, with --server")
	flags.StringVar(&o.url, "url", "", "use the server running at this `address` instead")
	flags.StringVar(&o.adminKey, "admin-key", "", "admin `key` of the server at --url")
	flags.StringVar(&o.networks, "networks", filepath.Join("test_networks", "ready_to_use"), "`folder` of the scenarios' zip files")
	flags.StringVar(&o.out, "out", filepath.Join(".local", "results"), "`folder` to put the results in")
	flags.Usage = func() {
		fmt.Fprintln(usage, "usage: demo (--server BINARY | --url ADDRESS --admin-key KEY) [flags] [SCENARIO...]")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.scenarios = flags.Args()
	if len(o.scenarios) == 0 {
		o.scenarios = []string{"corridor", "square"}
	}
	if (o.server == "") == (o.url == "") {
		return o, errors.New("give either --server with the local server's binary, or --url with the address of a running one")
	}
	if o.url != "" && o.adminKey == "" {
		return o, errors.New("give --admin-key as well: a tenant can only be made with it")
	}
	for i, name := range o.scenarios {
		if slices.Contains(o.scenarios[:i], name) {
			return o, fmt.Errorf("scenario %q is named twice; name each once", name)
		}
		if name != filepath.Base(name) || strings.HasPrefix(name, ".") {
			return o, fmt.Errorf("scenario %q is not the name of a zip in %s, without .zip", name, o.networks)
		}
	}
	return o, nil
}

// run is the program without its process: it returns the exit code, and its last line on stdout is the verdict.
func run(ctx context.Context, args []string, stdout io.Writer, now time.Time) int {
	o, err := parseOptions(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	var total int
	if err == nil {
		total, err = demo(ctx, o, stdout, now)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted before it was done")
		}
		summary, details, more := strings.Cut(err.Error(), "\n")
		if more {
			fmt.Fprintf(stdout, "\n%s\n", details)
		}
		fmt.Fprintf(stdout, "demo: FAILED %s\n", summary)
		return 1
	}
	fmt.Fprintf(stdout, "demo: SUCCEEDED jobs=%d vehicles=%d results=%s\n", len(o.scenarios), total, o.out)
	return 0
}

// demo returns how many vehicles all runs together inserted.
func demo(ctx context.Context, o options, stdout io.Writer, now time.Time) (vehicles int, err error) {
	if o.out, err = filepath.Abs(o.out); err != nil {
		return 0, fmt.Errorf("finding the results folder: %w", err)
	}
	if o.server != "" {
		fmt.Fprintf(stdout, "starting the local server (Postgres, S3 and SUMO on this machine), data in %s\n", o.data)
		srv, err := service.Start(ctx, o.server, o.data)
		if err != nil {
			return 0, err
		}
		defer srv.Stop()
		o.url, o.adminKey = srv.URL, srv.AdminKey
	}

	api, err := client.New(o.url, client.Options{AdminKey: o.adminKey, UserAgent: "sumo-k8-demo"})
	if err != nil {
		return 0, err
	}
	tenant := "demo-" + now.UTC().Format("20060102-150405.000")
	made, err := api.Register(ctx, tenant, client.Limits{})
	if err != nil {
		return 0, fmt.Errorf("making tenant %s: %w", tenant, err)
	}
	api = api.WithAPIKey(made.APIKey)
	fmt.Fprintf(stdout, "made tenant %s at %s\n", tenant, o.url)

	runs, err := runAll(ctx, api, o, stdout)
	if err != nil {
		return 0, err
	}
	fmt.Fprintln(stdout)
	show.Metrics(stdout, columns(runs), false)
	fmt.Fprintln(stdout)
	for _, r := range runs {
		n, ok := r.summary.Metric("vehicles_inserted")
		if !ok {
			return 0, fmt.Errorf("the summary of %s has no vehicles_inserted", r.name)
		}
		vehicles += int(n)
		fmt.Fprintf(stdout, "%s: %d files in %s\n", r.name, r.files, r.folder)
		fmt.Fprintf(stdout, "%s: plot %s, recording of %d moments\n", r.name, filepath.Join(r.folder, plotFile), r.moments)
	}
	fmt.Fprintln(stdout)
	return vehicles, ask(ctx, api, filepath.Join(o.networks, question.scenario+".zip"), stdout)
}

func columns(runs []finished) []show.Column {
	columns := make([]show.Column, len(runs))
	for i, r := range runs {
		columns[i] = show.Column{Title: r.name, Summary: r.summary}
	}
	return columns
}
