// Command lab runs a real Kubernetes cluster of one node on this machine, built from Go modules and Debian packages,
// without Docker or a registry. With Argo Workflows, Knative, a gateway, S3 and Postgres, it is where the manifests
// that users apply are tested.
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
	"text/tabwriter"
)

const usage = `usage: lab COMMAND

  build                  build what is missing of its programs and images, without root
  up [-eventing]         build what is missing, start what does not run, repair what is broken; with -eventing the lab
                         also gets Knative Eventing, and has it until it is down
  down                   stop the lab and restore the machine
  status                 say what runs; the exit code is 1 when something does not
  kubeconfig [-user X]   print the path of a kubeconfig: the administrator's, or that of a user X without any rights
  load IMAGE.tar...      give image archives to the cluster's node
  logs                   print the paths of the log files
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(out, usage)
		return errors.New("no command is given")
	}
	l, err := newLayout()
	if err != nil {
		return err
	}
	if args[0] == "build" {
		if err := parseUp("build", args[1:], &l); err != nil {
			return err
		}
		return build(ctx, l, out)
	}
	if os.Geteuid() != 0 {
		return errors.New("a cluster's node needs root: run this as root, or with sudo")
	}
	switch name, args := args[0], args[1:]; name {
	case "up":
		if err := parseUp(name, args, &l); err != nil {
			return err
		}
		return up(ctx, l, out)
	case "down":
		return down(ctx, l, out)
	case "status":
		return status(ctx, l, out)
	case "kubeconfig":
		flags := flag.NewFlagSet(name, flag.ContinueOnError)
		user := flags.String("user", admin, "`name` of a user without groups")
		if err := flags.Parse(args); err != nil {
			return err
		}
		path, err := userKubeconfig(l, *user)
		if err == nil {
			fmt.Fprintln(out, path)
		}
		return err
	case "load":
		for _, archive := range args {
			if err := load(ctx, l, archive); err != nil {
				return err
			}
		}
		return nameByDigest(ctx, l)
	case "logs":
		// The error of Glob is about its pattern only.
		files, _ := filepath.Glob(l.daemons().Log("*"))
		for _, file := range files {
			fmt.Fprintln(out, file)
		}
		return nil
	case "postgres":
		return servePostgres(ctx, l)
	default:
		fmt.Fprint(out, usage)
		return fmt.Errorf("there is no command %q", name)
	}
}

// status prints which programs run and which answer.
func status(ctx context.Context, l layout, out io.Writer) error {
	// A status check does not need the programs' paths.
	layers, err := stages(l, programs{}, credentials{})
	if err != nil {
		return err
	}
	folder := l.daemons()
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	var broken []string
	for _, s := range slices.Concat(layers...) {
		pid, state := folder.Pid(s.Name), "ready"
		if pid == 0 {
			state = "not running"
		} else if err := s.Ready(ctx); err != nil {
			state = "does not answer: " + err.Error()
		}
		if state != "ready" {
			broken = append(broken, s.Name)
		}
		fmt.Fprintf(table, "%s\t%d\t%s\n", s.Name, pid, state)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(broken) > 0 {
		return fmt.Errorf("%d programs are not ready; make lab-up starts them, their logs are in %s", len(broken), l.logs)
	}
	p := programs{"kubectl": filepath.Join(l.cache, "kubectl")}
	pods, err := kubectl(ctx, l, p, "", "get", "nodes,pods", "--all-namespaces")
	fmt.Fprint(out, pods)
	if err != nil {
		return err
	}
	missing, err := unavailable(ctx, l, p)
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("in the cluster %s does not run; make lab-up waits for it, kubectl describe says why", strings.Join(missing, ", "))
	}
	return err
}

// parseUp reads the flags of up and build.
func parseUp(name string, args []string, l *layout) error {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.BoolVar(&l.eventing, "eventing", l.eventing, "add Knative Eventing")
	return flags.Parse(args)
}
