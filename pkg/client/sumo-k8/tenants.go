package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
)

func (a *app) tenantsCommand() *cobra.Command {
	return group("tenants", "Manage tenants with the admin key",
		a.listTenantsCommand(), a.createTenantCommand(), a.limitTenantCommand(), a.newKeyCommand(), a.removeTenantCommand())
}

// limitFlags keep only the limits that are given.
type limitFlags struct {
	cpu, memory, jobs int
	buckets           []string
	sumo              string
	controllers       bool
	set               func(name string) bool
}

func (l *limitFlags) add(flags *pflag.FlagSet) {
	flags.IntVar(&l.cpu, "max-cpu", 0, "cores that its jobs may use together")
	flags.IntVar(&l.memory, "max-memory-gi", 0, "GiB that its jobs may use together")
	flags.IntVar(&l.jobs, "max-concurrent-jobs", 0, "jobs that may run at a time")
	flags.StringSliceVar(&l.buckets, "input-buckets", nil, "where its s3:// inputs may come from: bucket or bucket/prefix/")
	flags.StringVar(&l.sumo, "sumo-version", "", "SUMO version of its jobs that name none (default: the newest): "+releases())
	flags.BoolVar(&l.controllers, "controllers", false, "whether its jobs may run programs of their scenarios and tools of SUMO's")
	l.set = flags.Changed
}

func (l *limitFlags) limits() (out client.Limits) {
	for name, limit := range map[string]struct {
		value int
		into  **int
	}{"max-cpu": {l.cpu, &out.MaxCPU}, "max-memory-gi": {l.memory, &out.MaxMemoryGi}, "max-concurrent-jobs": {l.jobs, &out.MaxJobs}} {
		if l.set(name) {
			*limit.into = &limit.value
		}
	}
	if l.set("input-buckets") {
		out.InputBuckets = &l.buckets
	}
	if l.set("sumo-version") {
		out.SumoVersion = &l.sumo
	}
	if l.set("controllers") {
		out.Controllers = &l.controllers
	}
	return out
}

func (a *app) listTenantsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List all tenants", Aliases: []string{"list"}, Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			api, err := a.operator()
			if err != nil {
				return err
			}
			list, err := api.Tenants(ctx)
			if err != nil {
				return err
			}
			a.print(list, func() { a.tenantTable(list.Tenants...) })
			return nil
		}),
	}
}

func (a *app) tenantTable(tenants ...client.Tenant) {
	rows := [][]string{{"TENANT", "NAMESPACE", "KEY", "CPU", "MEMORY", "JOBS", "BUCKETS", "SUMO", "CONTROLLERS", "CREATED"}}
	for _, t := range tenants {
		rows = append(rows, []string{t.ID, t.Namespace, t.APIKey, strconv.Itoa(t.MaxCPU), strconv.Itoa(t.MaxMemoryGi) + " GiB",
			strconv.Itoa(t.MaxJobs), strings.Join(t.InputBuckets, ","), t.SumoVersion, strconv.FormatBool(t.Controllers), clock(&t.CreatedAt)})
	}
	a.table(rows)
}

func (a *app) createTenantCommand() *cobra.Command {
	var l limitFlags
	c := &cobra.Command{
		Use: "create TENANT", Short: "Create a tenant and print its API key, which is shown only once", Args: cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	l.add(c.Flags())
	noFiles(c, "max-cpu", "max-memory-gi", "max-concurrent-jobs", "input-buckets", "sumo-version")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		api, err := a.operator()
		if err != nil {
			return err
		}
		t, err := api.Register(ctx, args[0], l.limits())
		if err != nil {
			return err
		}
		a.issued(t)
		return nil
	})
	return c
}

// issued shows a new key.
func (a *app) issued(t client.Tenant) {
	a.print(t, func() {
		a.note("The API key of %s. Keep it: it cannot be shown again.", t.ID)
		fmt.Fprintln(a.out, t.APIKey)
	})
}

func (a *app) limitTenantCommand() *cobra.Command {
	var l limitFlags
	c := &cobra.Command{
		Use: "limit TENANT", Short: "Change a tenant's limits; those not given stay as they are",
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.tenantIDs,
	}
	l.add(c.Flags())
	c.MarkFlagsOneRequired("max-cpu", "max-memory-gi", "max-concurrent-jobs", "input-buckets", "sumo-version", "controllers")
	noFiles(c, "max-cpu", "max-memory-gi", "max-concurrent-jobs", "input-buckets", "sumo-version")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		api, err := a.operator()
		if err != nil {
			return err
		}
		t, err := api.SetLimits(ctx, args[0], l.limits())
		if err != nil {
			return err
		}
		a.print(t, func() { a.tenantTable(t) })
		return nil
	})
	return c
}

func (a *app) newKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "new-key TENANT", Short: "Issue a new API key; all earlier ones of the tenant stop working",
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.tenantIDs,
		RunE: a.does(func(ctx context.Context, args []string) error {
			api, err := a.operator()
			if err != nil {
				return err
			}
			t, err := api.NewKey(ctx, args[0])
			if err != nil {
				return err
			}
			a.issued(t)
			return nil
		}),
	}
}

func (a *app) removeTenantCommand() *cobra.Command {
	var yes, force bool
	c := &cobra.Command{
		Use: "rm TENANT", Short: "Delete a tenant with its keys, scenarios, jobs and results",
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.tenantIDs,
	}
	c.Flags().BoolVar(&yes, "yes", false, "required: the data cannot be recovered")
	c.Flags().BoolVar(&force, "force", false, "cancel its queued and running jobs")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		if !yes {
			return usage("this deletes everything of %s for good: confirm with --yes", args[0])
		}
		api, err := a.operator()
		if err != nil {
			return err
		}
		d, err := api.DeleteTenant(ctx, args[0], force)
		if err != nil {
			return err
		}
		a.print(d, func() { fmt.Fprintf(a.out, "Tenant %s is deleted.\n", show.Printable(args[0])) })
		return nil
	})
	return c
}
