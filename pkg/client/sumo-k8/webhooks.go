package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
	"github.com/sumo-k8/sumo-k8/pkg/delivery"
)

func (a *app) webhooksCommand() *cobra.Command {
	return group("webhooks", "Have events of jobs and studies sent to a web server, and see what was sent",
		a.listWebhooksCommand(), a.addWebhookCommand(), a.showWebhookCommand(), a.setWebhookCommand(),
		a.switchWebhookCommand("pause", "Send nothing more to a webhook until it is resumed", false),
		a.switchWebhookCommand("resume", "Go on sending events to a webhook that was paused or disabled", true),
		a.rotateWebhookCommand(), a.removeWebhookCommand(), a.deliveriesCommand(), a.redeliverCommand())
}

func (a *app) listWebhooksCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List your webhooks", Aliases: []string{"ls"}, Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			api, err := a.tenant()
			if err != nil {
				return err
			}
			list, err := api.Webhooks(ctx)
			if err != nil {
				return err
			}
			a.print(list, func() {
				if len(list.Webhooks) == 0 {
					a.note("No webhooks.")
					return
				}
				rows := [][]string{{"WEBHOOK", "URL", "EVENTS", "LABELS", "STATUS"}}
				for _, w := range list.Webhooks {
					rows = append(rows, []string{w.ID, w.URL, eventsOf(w), cmp.Or(labelsOf(w.Labels), "-"), switched(w)})
				}
				a.table(rows)
			})
			return nil
		}),
	}
}

func eventsOf(w client.Webhook) string {
	var names []string
	for _, e := range w.Events {
		names = append(names, eventName(e))
	}
	return strings.Join(names, ",")
}

func labelsOf(labels map[string]string) string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, key+"="+labels[key])
	}
	return strings.Join(pairs, ",")
}

func switched(w client.Webhook) string {
	switch {
	case w.Enabled:
		return "enabled"
	case w.Remark != "":
		return "disabled: " + w.Remark
	default:
		return "paused"
	}
}

// webhookFlags are the properties of a webhook. Only those that are given count.
type webhookFlags struct {
	url, format string
	events      []string
	labels      map[string]string
	studies     bool
}

func (w *webhookFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringSliceVar(&w.events, "events", nil, "what to report: "+strings.Join(eventNames(), ", ")+" (default: all but progress)")
	flags.StringToStringVar(&w.labels, "label", nil, "report only jobs with these labels, as key=value")
	flags.StringVar(&w.format, "format", "", "form of the body: standard or cloudevents (default: standard)")
	flags.BoolVar(&w.studies, "studies", false, "report a study's runs too")
	formats := []string{string(delivery.Standard), string(delivery.CloudEvents)}
	must(c.RegisterFlagCompletionFunc("events", cobra.FixedCompletions(eventNames(), cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)))
	noFiles(c, "label")
}

// eventNames are those that --events takes, beside the types themselves.
func eventNames() []string {
	var names []string
	for _, t := range delivery.Types() {
		names = append(names, eventName(t))
	}
	return names
}

func eventName(t delivery.Type) string { return strings.TrimPrefix(string(t), "job.") }

// eventOf is the type with a name; the service refuses one that does not exist.
func eventOf(name string) delivery.Type {
	for _, t := range delivery.Types() {
		if name == eventName(t) {
			return t
		}
	}
	return delivery.Type(name)
}

func (w *webhookFlags) change(flags *pflag.FlagSet) (c client.WebhookChange) {
	if w.url != "" {
		c.URL = &w.url
	}
	if flags.Changed("events") {
		events := make([]delivery.Type, len(w.events))
		for i, name := range w.events {
			events[i] = eventOf(name)
		}
		c.Events = &events
	}
	if flags.Changed("label") {
		c.Labels = &w.labels
	}
	if flags.Changed("format") {
		format := delivery.Format(w.format)
		c.Format = &format
	}
	if flags.Changed("studies") {
		c.Studies = &w.studies
	}
	return c
}

func (a *app) addWebhookCommand() *cobra.Command {
	var w webhookFlags
	c := &cobra.Command{
		Use: "add URL", Short: "Have events of your jobs and studies sent to a URL and print the secret", Args: cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		Long: `Has events of your jobs and studies POSTed to a URL, and prints the secret that verifies them. It is shown only once:
store it where your receiver reads it.`,
		Example: "  sumo-k8 webhooks add https://example.org/sumo --events finished --label study=noise",
	}
	w.add(c)
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		w.url = args[0]
		api, err := a.tenant()
		if err != nil {
			return err
		}
		made, err := api.CreateWebhook(ctx, w.change(c.Flags()))
		if err != nil {
			return err
		}
		a.print(made, func() {
			fmt.Fprintln(a.out, made.Secret)
			a.note("This is the secret of webhook %s. It is shown only once.", made.ID)
		})
		return nil
	})
	return c
}

func (a *app) showWebhookCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show WEBHOOK", Short: "Show a webhook", Args: cobra.ExactArgs(1), ValidArgsFunction: a.webhookIDs(),
		RunE: a.does(func(ctx context.Context, args []string) error {
			api, err := a.tenant()
			if err != nil {
				return err
			}
			w, err := api.Webhook(ctx, args[0])
			if err != nil {
				return err
			}
			a.print(w, func() { a.webhook(w) })
			return nil
		}),
	}
}

func (a *app) webhook(w client.Webhook) {
	rows := [][]string{{"webhook", w.ID}, {"url", w.URL}, {"status", switched(w)}, {"events", eventsOf(w)}}
	if len(w.Labels) > 0 {
		rows = append(rows, []string{"labels", labelsOf(w.Labels)})
	}
	rows = append(rows, []string{"format", string(w.Format)}, []string{"studies", map[bool]string{true: "yes", false: "no"}[w.Studies]})
	if w.OldSecretsUntil != nil {
		rows = append(rows, []string{"old secret until", clock(w.OldSecretsUntil)})
	}
	a.table(append(rows, []string{"created", clock(&w.CreatedAt)}, []string{"changed", clock(&w.UpdatedAt)}))
}

func (a *app) setWebhookCommand() *cobra.Command {
	var w webhookFlags
	c := &cobra.Command{
		Use: "set WEBHOOK", Short: "Change a webhook", Args: cobra.ExactArgs(1), ValidArgsFunction: a.webhookIDs(),
		Example: "  sumo-k8 webhooks set 01a22533-6f3e-728e-b8e7-b8577bbc6232 --events finished,progress",
	}
	w.add(c)
	c.Flags().StringVar(&w.url, "to", "", "another URL")
	noFiles(c, "to")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		change := w.change(c.Flags())
		if change == (client.WebhookChange{}) {
			return usage("nothing to change: give --to, --events, --label, --format or --studies")
		}
		return a.changeWebhook(ctx, args[0], change)
	})
	return c
}

func (a *app) changeWebhook(ctx context.Context, id string, change client.WebhookChange) error {
	api, err := a.tenant()
	if err != nil {
		return err
	}
	w, err := api.UpdateWebhook(ctx, id, change)
	if err != nil {
		return err
	}
	a.print(w, func() { a.webhook(w) })
	return nil
}

func (a *app) switchWebhookCommand(name, short string, on bool) *cobra.Command {
	return &cobra.Command{
		Use: name + " WEBHOOK", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: a.webhookIDs(),
		RunE: a.does(func(ctx context.Context, args []string) error {
			return a.changeWebhook(ctx, args[0], client.WebhookChange{Enabled: &on})
		}),
	}
}

func (a *app) rotateWebhookCommand() *cobra.Command {
	var keep time.Duration
	c := &cobra.Command{
		Use: "rotate WEBHOOK", Short: "Replace a webhook's secret and print the new one", Args: cobra.ExactArgs(1),
		ValidArgsFunction: a.webhookIDs(),
		Long: `Replaces a webhook's secret and prints the new one, which is shown only once. Both sign what is sent until the time in
--keep-old has passed, so that your receiver can be switched without a gap.`,
	}
	c.Flags().DurationVar(&keep, "keep-old", 24*time.Hour, "how long the old secret goes on signing; 0 if it is no longer safe")
	noFiles(c, "keep-old")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		if keep < 0 {
			return usage("--keep-old %s is in the past", keep)
		}
		api, err := a.tenant()
		if err != nil {
			return err
		}
		w, err := api.RotateSecret(ctx, args[0], keep)
		if err != nil {
			return err
		}
		a.print(w, func() {
			fmt.Fprintln(a.out, w.Secret)
			a.note("This is the new secret of webhook %s. It is shown only once.", w.ID)
			if w.OldSecretsUntil != nil {
				a.note("The old one signs until %s.", clock(w.OldSecretsUntil))
			}
		})
		return nil
	})
	return c
}

func (a *app) removeWebhookCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove WEBHOOK", Short: "Remove a webhook with its deliveries", Aliases: []string{"rm"}, Args: cobra.ExactArgs(1),
		ValidArgsFunction: a.webhookIDs(),
		RunE: a.does(func(ctx context.Context, args []string) error {
			api, err := a.tenant()
			if err != nil {
				return err
			}
			d, err := api.DeleteWebhook(ctx, args[0])
			if err != nil {
				return err
			}
			a.print(d, func() { fmt.Fprintf(a.out, "Webhook %s is removed.\n", show.Printable(args[0])) })
			return nil
		}),
	}
}

var deliveryStates = []string{string(delivery.Waiting), string(delivery.Paused), string(delivery.Delivered), string(delivery.GivenUp)}

func (a *app) deliveriesCommand() *cobra.Command {
	var f client.DeliveryFilter
	var state, job string
	var most int
	c := &cobra.Command{
		Use: "deliveries", Short: "List what was sent or waits to be sent, newest first", Args: cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		Example:           "  sumo-k8 webhooks deliveries --state GIVEN_UP",
	}
	flags := c.Flags()
	flags.StringVar(&f.WebhookID, "webhook", "", "only those for this webhook")
	flags.StringVar(&job, "job", "", "only those of this job")
	flags.StringVar(&state, "state", "", "only those in this state: "+strings.Join(deliveryStates, ", "))
	flags.IntVarP(&most, "limit", "n", 20, "how many; 0 for all")
	must(c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(deliveryStates, cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("webhook", ofFlag(a.webhookIDs())))
	must(c.RegisterFlagCompletionFunc("job", ofFlag(a.jobIDs(1, nil))))
	noFiles(c, "limit")
	c.RunE = a.does(func(ctx context.Context, _ []string) error {
		f.State = delivery.State(strings.ToUpper(state))
		if most < 0 {
			return usage("--limit %d is not a number of deliveries", most)
		}
		api, err := a.tenant()
		if err != nil {
			return err
		}
		if f.JobID, err = a.jobID(ctx, api, job); err != nil {
			return err
		}
		return listing[client.Delivery]{
			name: "deliveries", most: most,
			heading: []string{"DELIVERY", "EVENT", "JOB OR STUDY", "STATE", "ATTEMPTS", "CREATED", "NEXT", "LAST ANSWER"},
			page: func(cursor string, limit int) ([]client.Delivery, string, error) {
				f.Cursor, f.Limit = cursor, limit
				page, err := api.Deliveries(ctx, f)
				return page.Deliveries, page.NextCursor, err
			},
			row: func(d client.Delivery) []string {
				return []string{
					d.ID, string(d.Event), cmp.Or(d.JobID, d.StudyID), string(d.State), strconv.Itoa(d.Attempts), clock(&d.CreatedAt),
					clock(d.NextAttemptAt), answerOf(d),
				}
			},
		}.print(a)
	})
	return c
}

func answerOf(d client.Delivery) string {
	var words []string
	if d.ResponseStatus != 0 {
		words = append(words, strconv.Itoa(d.ResponseStatus))
	}
	if d.Error != "" {
		words = append(words, d.Error)
	}
	return cmp.Or(strings.Join(words, " "), "-")
}

func (a *app) redeliverCommand() *cobra.Command {
	return &cobra.Command{
		Use: "redeliver DELIVERY", Short: "Send a delivery again", Args: cobra.ExactArgs(1), ValidArgsFunction: a.deliveryIDs(),
		RunE: a.does(func(ctx context.Context, args []string) error {
			api, err := a.tenant()
			if err != nil {
				return err
			}
			d, err := api.Redeliver(ctx, args[0])
			if err != nil {
				return err
			}
			a.print(d, func() { fmt.Fprintf(a.out, "Delivery %s is sent again.\n", show.Printable(d.ID)) })
			return nil
		}),
	}
}

// webhookIDs completes a webhook.
func (a *app) webhookIDs() cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return a.complete(cmd, args, 1, tenantKey, func(ctx context.Context, api *client.Client) (out []cobra.Completion) {
			list, err := api.Webhooks(ctx)
			if err != nil {
				return nil
			}
			for _, w := range list.Webhooks {
				out = append(out, cobra.CompletionWithDesc(w.ID, show.Printable(w.URL)))
			}
			return out
		})
	}
}

// deliveryIDs completes a delivery.
func (a *app) deliveryIDs() cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return a.complete(cmd, args, 1, tenantKey, func(ctx context.Context, api *client.Client) (out []cobra.Completion) {
			page, err := api.Deliveries(ctx, client.DeliveryFilter{Limit: offered})
			if err != nil {
				return nil
			}
			for _, d := range page.Deliveries {
				out = append(out, cobra.CompletionWithDesc(d.ID, show.Printable(fmt.Sprintf("%s %s %s", d.Event, d.State, clock(&d.CreatedAt)))))
			}
			return out
		})
	}
}
