// Command local serves every function on one port of one machine, with its own Postgres, S3 server and SUMO processes.
// It keeps everything in one folder, and a restart continues where the last run ended, however it ended.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"knative.dev/pkg/signals"
)

func main() {
	err := run(signals.NewContext(), os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "local:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var s Settings
	flags := flag.NewFlagSet("local", flag.ContinueOnError)
	flags.StringVar(&s.Dir, "data", ".local/data", "data folder")
	flags.StringVar(&s.Listen, "listen", "127.0.0.1:0", "address to serve on; port 0 takes a free one")
	flags.IntVar(&s.Slots, "slots", 0, "number of concurrent simulations; 0 for one per CPU")
	flags.StringVar(&s.ObjectStore, "objectstore", besideUs("objectstore"), "the object store's program")
	flags.StringVar(&s.SumoRun, "sumo-run", besideUs("sumo-run"), "the sumo-run program")
	sumo := flags.String("sumo", "", "`versions` of SUMO to install if they are missing: 1.20,1.22")
	flags.BoolVar(&s.Controllers, "controllers", false,
		"run programs of scenarios, and tools of SUMO's, for tenants that may: CONTROLLERS=python")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s.Console = out
	if *sumo != "" {
		s.Sumo = strings.Split(*sumo, ",")
	}
	service, err := Open(ctx, s)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, service.sumo.notice(service.cfg))
	if service.cfg.Programs() {
		fmt.Fprintln(out, programNotice(service.cfg.Offer(service.sumo.installed)))
	}
	printUsage(out, service.URL(), service.Endpoint.AdminKey, s.Dir, filepath.Dir(besideUs("sumo-k8")))
	return service.Serve(ctx)
}

// printUsage shows what to paste into another terminal. The command-line client is in the folder bin.
func printUsage(out io.Writer, url, adminKey, dir, bin string) {
	fmt.Fprintf(out, `SUMO-K8 is serving on %[1]s   (documentation: %[1]s/docs)

Open it in a browser and sign in with the admin key below, or stay here. Register a tenant, keep its key, submit a scenario, and look at it:

  export URL=%[1]s ADMIN_KEY=%[2]s
  export API_KEY=$(curl -s -X POST $URL/auth/register -H "X-Admin-Key: $ADMIN_KEY" \
    -H 'Content-Type: application/json' -d '{"tenant_id": "acme"}' | sed 's/.*"api_key":"\([^"]*\)".*/\1/')
  export JOB=$(curl -s -X POST $URL/jobs -H "Authorization: Bearer $API_KEY" \
    -F scenario_id=first-run -F sumo_files=@test_networks/ready_to_use/corridor.zip | sed 's/.*"job_id":"\([^"]*\)".*/\1/')
  curl -s $URL/jobs/$JOB -H "Authorization: Bearer $API_KEY"
  curl -sN $URL/jobs/$JOB/logs/stream -H "Authorization: Bearer $API_KEY"
  curl -s $URL/jobs/$JOB/results -H "Authorization: Bearer $API_KEY"

Or with the command line:

  export PATH="%[4]s:$PATH" SUMO_K8_URL=%[1]s SUMO_K8_ADMIN_KEY=%[2]s
  export SUMO_K8_API_KEY=$(sumo-k8 tenants create my-team)
  sumo-k8 submit test_networks/ready_to_use/grid.zip --follow
  sumo-k8 results @latest

Data and logs are in %[3]s. Ctrl-C stops everything; the next start continues with queued and running jobs.
`, url, adminKey, dir, bin)
}
