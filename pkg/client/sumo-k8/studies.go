package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

func (a *app) studyCommand() *cobra.Command {
	return group("study", "Ask one question of many runs: variants, swept values, seeds",
		a.runStudyCommand(), a.listStudiesCommand(), a.getStudyCommand(), a.cancelStudyCommand(), a.extendStudyCommand(), a.retryStudyCommand(),
		a.studyResultsCommand(), a.studyStatisticsCommand(), a.compareStudyCommand(), a.studyTableCommand(), a.studyTablesCommand(),
		a.studyPlotCommand(), a.studyReportCommand())
}

// studyFlags are the flags of study run.
type studyFlags struct {
	runFlags
	aimFlags
	axes, metrics  []string
	seeds, combine string
	baseline       string
	maxParallel    int
	stopShare      float64
	dryRun         bool
}

func (a *app) runStudyCommand() *cobra.Command {
	var f studyFlags
	c := &cobra.Command{
		Use:   "run [NAME=]FILE.zip|FOLDER|SCENARIO...",
		Short: "Run every variant at all values of the axes with every seed",
		Long: `Makes a study and prints its id. Each scenario is a variant: a zip, a folder or the id of a stored one, with a name
before an equals sign if it needs one. Each --axis sweeps a setting: a field of the run, option:NAME for an option of
SUMO, arg:NAME for the option --NAME of the controller, or xml:FILE#ELEMENT[@KEY='VALUE']/@ATTRIBUTE for an attribute in
a file of the scenario. Every combination is a point, and each point runs once with each seed. With --until, further
seeds follow in rounds, the same ones for every point, until all means are known as well as that. With --follow, the
progress of all points is shown until the study ends, then its means and, with --baseline, its comparisons; the exit code
says how it ended.`,
		Example: `  sumo-k8 study run city.zip --axis demand=scale:0.8,1,1.2 --seeds 1:10 --follow
  sumo-k8 study run base=city.zip "green wave=$SCENARIO" --baseline base --until 5% --of difference --max 30
  sumo-k8 study run city/ --axis "imperfection=xml:vtypes.add.xml#vType[@id='car']/@sigma:0.2,0.5" --seeds 1:5 --dry-run
  sumo-k8 study run city/ --controller control.py --axis gain=arg:gain:0.2,0.4 --seeds 1:5`,
		Args: cobra.MinimumNArgs(1),
	}
	flags := c.Flags()
	f.addOptions(flags)
	f.addController(flags)
	flags.StringVar(&f.Name, "name", "", "your name for the study (default: that of the first scenario)")
	flags.StringVar(&f.ConfigFile, "config-file", "", "which .sumocfg to run, when the scenario has several")
	flags.StringVar(&f.SumoVersion, "sumo-version", "", "version of SUMO, as far as it is offered (see sumo-k8 versions): "+releases())
	flags.BoolVar(&f.Strict, "strict", false, "refuse a scenario of which SUMO would drop or ignore a part")
	flags.StringArrayVar(&f.axes, "axis", nil, "NAME=SETTING:VALUE,VALUE…; repeatable. Put a value with commas into double quotes")
	flags.StringVar(&f.seeds, "seeds", "", "the seeds of each point: a range such as 1:10, or a list such as 1,5,7")
	flags.StringVar(&f.combine, "combine", "", "product (default), or zip: the first values of all axes together, and so on")
	flags.StringVar(&f.baseline, "baseline", "", "what others are compared with: a variant, or values of axes as JSON")
	flags.StringSliceVar(&f.metrics, "metric", nil, "the metrics that the study is about (default: all that describe traffic)")
	flags.IntVar(&f.maxParallel, "max-parallel", 0, "the most runs at a time (default: as many as your limits allow)")
	flags.Var(ofRuns(&f.stopShare), "stop-share", "stop when more than this share of the runs has failed, "+
		"such as 0.2 or 20%")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only show what the study would be")
	flags.StringVar(&f.key, "idempotency-key", "", "a key of your own: repeating the command with it creates no second study")
	flags.BoolVarP(&f.follow, "follow", "f", false, "show the progress of all points until the study ends")
	f.aimFlags.add(c)
	c.MarkFlagsOneRequired("seeds", "until")
	c.MarkFlagsMutuallyExclusive("dry-run", "follow")
	must(c.RegisterFlagCompletionFunc("combine", cobra.FixedCompletions([]string{"product", "zip"}, cobra.ShellCompDirectiveNoFileComp)))
	noFiles(c, "name", "config-file", "axis", "seeds", "baseline", "max-parallel", "stop-share", "idempotency-key")
	must(c.RegisterFlagCompletionFunc("metric", metricNames))
	a.completeOptions(c)
	completeProgram(c)
	f.set = func(name string) bool { return flags.Changed(name) }
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		r, err := f.request()
		if err != nil {
			return err
		}
		api, err := a.tenant()
		if err != nil {
			return err
		}
		if r.Variants, err = a.variants(ctx, api, args, f.controller != ""); err != nil {
			return err
		}
		if r.Name == "" {
			r.Name = r.Variants[0].Name
		}
		s, err := api.CreateStudy(ctx, r, f.key)
		if err != nil {
			return err
		}
		return a.studied(ctx, api, s, f)
	})
	return c
}

// request is the study that the flags describe, without its variants.
func (f *studyFlags) request() (r client.StudyRequest, err error) {
	if f.set("max-parallel") && f.maxParallel < 1 {
		return r, usage("--max-parallel %d lets no run begin", f.maxParallel)
	}
	run, err := f.chosen()
	if err == nil {
		err = f.program(&run, nil)
	}
	if err != nil {
		return r, err
	}
	r.Name, r.Cache = f.Name, run.Cache
	r.MaxParallel, r.DryRun, r.Combine, r.Metrics = f.maxParallel, f.dryRun, study.Combine(f.combine), f.metrics
	if r.Run, err = client.StudyRun(run); err != nil {
		return r, err
	}
	if r.Replications, err = replicationsOf(f.seeds, f.aimFlags, f.set); err != nil {
		return r, err
	}
	for _, text := range f.axes {
		axis, err := axisOf(text)
		if err != nil {
			return r, err
		}
		r.Axes = append(r.Axes, axis)
	}
	if r.Baseline, err = baselineOf(f.baseline); err != nil {
		return r, err
	}
	if f.set("stop-share") {
		r.OnFailure = &study.OnFailure{StopShare: f.stopShare}
	}
	return r, nil
}

// replicationsOf reads --seeds and --until, either of which may be missing.
func replicationsOf(seeds string, aim aimFlags, set func(name string) bool) (r study.Replications, err error) {
	if seeds != "" {
		if r.Seeds, err = seedsOf(seeds); err != nil {
			return r, err
		}
	}
	r.Until, err = aim.aim(set)
	return r, err
}

// baselineOf reads --baseline: the name of a variant, or JSON.
func baselineOf(text string) (*study.Baseline, error) {
	switch {
	case text == "":
		return nil, nil
	case !strings.HasPrefix(text, "{"):
		return &study.Baseline{Variant: text}, nil
	}
	b := &study.Baseline{}
	read := json.NewDecoder(strings.NewReader(text))
	read.DisallowUnknownFields() // a misspelt one would leave a part of the baseline out
	if err := read.Decode(b); err != nil || read.More() {
		return nil, usage(`--baseline %q is neither the name of a variant nor JSON such as {"values": {"demand": 1}}`, text)
	}
	return b, nil
}

// seedsOf reads --seeds: a range, or a list.
func seedsOf(text string) (json.RawMessage, error) {
	raw := json.RawMessage(strconv.Quote(text))
	if !strings.Contains(text, ":") {
		raw = json.RawMessage("[" + text + "]")
	}
	if !json.Valid(raw) {
		return nil, usage("--seeds %q is neither a range such as 1:10 nor a list such as 1,5,7", text)
	}
	if _, err := study.ParseSeeds(raw); err != nil {
		return nil, usage("--seeds %q: seeds %w", text, err)
	}
	return raw, nil
}

// axisForm is NAME=SETTING:VALUE,VALUE. The setting ends at the first colon that is neither behind its kind nor part of an attribute's file
// or condition: values have colons of their own, such as those of times.
var axisForm = regexp.MustCompile(`(?s)^([^=]+)=(xml:[^#]*#(?:'[^']*'|"[^"]*"|[^:'"])+|(?:xml:|option:|arg:)?[^:]+):(.+)$`)

func axisOf(text string) (study.Axis, error) {
	parts := axisForm.FindStringSubmatch(text)
	if parts == nil {
		return study.Axis{}, usage("--axis %q is not NAME=SETTING:VALUE,VALUE, such as demand=scale:0.8,1,1.2", text)
	}
	return study.Axis{Name: parts[1], Set: parts[2], Values: valuesOf(parts[2], parts[3])}, nil
}

// oneValue is a value with the comma behind it. Commas in parentheses, such as normc(1,0.1,0.5,1.5), and in quotes belong to the value.
var oneValue = regexp.MustCompile(`(?s)^(?:"(?:[^"\\]|\\.)*"|(?:\([^()]*\)|[^,])*)(?:,|$)`)

// valuesOf are the values of an axis, as JSON: names stay texts, even where they look like numbers, and so does what is in quotes.
func valuesOf(set, list string) (values []json.RawMessage) {
	for more := true; more; {
		match := oneValue.FindString(list)
		list = list[len(match):]
		var text string
		text, more = strings.CutSuffix(match, ",")
		raw := json.RawMessage(text)
		var scalar any
		err := json.Unmarshal(raw, &scalar)
		_, number := scalar.(float64)
		_, flag := scalar.(bool)
		_, quoted := scalar.(string)
		name := set == "sumo_version" || set == "config_file"
		if err != nil || !quoted && (name || !number && !flag) {
			raw, _ = json.Marshal(text) // texts can always be written
		}
		values = append(values, raw)
	}
	return values
}

// variants stores the scenarios that are not stored yet. If steered, a controller runs them.
func (a *app) variants(ctx context.Context, api *client.Client, args []string, steered bool) (variants []study.Variant, err error) {
	store := (*client.Client).Store
	if steered {
		store = (*client.Client).StoreForProgram
	}
	for _, arg := range args {
		name, path, named := strings.Cut(arg, "=")
		if _, err := os.Stat(arg); !named || err == nil { // a file may have an equals sign
			name, path = "", arg
		}
		if path == "" {
			return nil, usage("%q names no scenario: write NAME=FILE.zip, NAME=FOLDER or NAME=SCENARIO", arg)
		}
		v := study.Variant{Name: name, Scenario: path}
		if !scenario.IsDigest(path) {
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("there is no file or folder %s, and it is no id of a stored scenario either: sumo-k8 scenarios ls shows those",
					path)
			}
			stored, err := upload(ctx, a, path, store)
			if err != nil {
				return nil, err
			}
			a.warnings(stored.Warnings)
			v.Scenario = stored.ID
			path = nameOf(path)
		}
		if v.Name == "" {
			if scenario.IsDigest(path) {
				if path, err = nameOfStored(ctx, api, path, variants); err != nil {
					return nil, err
				}
			}
			v.Name = string([]rune(path)[:min(len([]rune(path)), study.MaxName)])
		}
		variants = append(variants, v)
	}
	return variants, nil
}

// nameOfStored is what a stored scenario is called, or, where that is nothing or taken, the beginning of its id.
func nameOfStored(ctx context.Context, api *client.Client, id string, taken []study.Variant) (string, error) {
	stored, err := api.Scenario(ctx, id)
	if err != nil {
		return "", err
	}
	if stored.Name == "" || slices.ContainsFunc(taken, func(v study.Variant) bool { return v.Name == stored.Name }) {
		return id[:shortID], nil
	}
	return stored.Name, nil
}

// studied shows a new study, and follows it if requested.
func (a *app) studied(ctx context.Context, api *client.Client, s client.Study, f studyFlags) error {
	if f.follow {
		a.note("Study %s has %s.", s.ID, sizeOf(s))
		a.studyWarnings(s)
		return a.followStudy(ctx, api, s)
	}
	a.print(s, func() {
		if f.dryRun {
			a.showPoints(s)
			fmt.Fprintf(a.out, "\n%s, %s\n", sizeOf(s), effort(s.Estimate))
		} else {
			fmt.Fprintln(a.out, s.ID)
			a.note("Study %s has %s. Follow it: sumo-k8 study get -f %[1]s", s.ID, sizeOf(s))
		}
		a.studyWarnings(s)
	})
	return nil
}

func sizeOf(s client.Study) string {
	size := counted(len(s.Points), "point") + ", " + counted(s.Runs.Planned, "run")
	if dry := s.Status == ""; s.MostRuns > s.Runs.Planned && (dry || !s.Status.Terminal()) {
		size += fmt.Sprintf(" (up to %d, as the aim takes)", s.MostRuns)
	}
	if s.Runs.Cached > 0 {
		size += fmt.Sprintf(", %d of them from the cache", s.Runs.Cached)
	}
	return size
}

// effort says what runs are expected to take.
func effort(f *client.StudyForecast) string {
	if f == nil {
		return "how long that takes is not known yet"
	}
	round := func(seconds float64) time.Duration {
		return time.Duration(seconds * float64(time.Second)).Round(time.Second)
	}
	return fmt.Sprintf("about %s of one core, %s in all", round(f.CoreSeconds), round(f.Seconds))
}

// studyWarnings shows each warning of the points once.
func (a *app) studyWarnings(s client.Study) {
	var shown []string
	for _, p := range s.Points {
		for _, w := range p.Warnings {
			if !slices.Contains(shown, w) {
				shown = append(shown, w)
			}
		}
	}
	a.warnings(shown)
}

// showPoints prints the points with what has become of their runs.
func (a *app) showPoints(s client.Study) {
	rows := [][]string{{"POINT", "RUNS", "DONE", "RUNNING", "FAILED", "CANCELLED"}}
	for _, p := range s.Points {
		rows = append(rows, []string{
			s.PointLabel(p.Variant, p.Setting), strconv.Itoa(p.Needed), strconv.Itoa(p.Runs.Done), strconv.Itoa(p.Runs.Running),
			strconv.Itoa(p.Runs.Failed), strconv.Itoa(p.Runs.Cancelled),
		})
	}
	a.table(rows)
}

// followStudy shows the progress of a study until it has ended. An end other than success is a *studyEnd.
func (a *app) followStudy(ctx context.Context, api *client.Client, s client.Study) error {
	var display show.Study
	if !a.asJSON() {
		display = show.NewStudy(a.err, show.PointLabels(s))
	}
	var end client.StudyEvent
	var runs client.StudyRuns
	for e, err := range api.FollowStudy(ctx, s.ID) {
		if err != nil {
			if display != nil {
				display.Close()
			}
			var refused *client.Error
			if errors.As(err, &refused) {
				return err
			}
			return &goesOn{error: err, id: s.ID, study: true}
		}
		switch {
		case a.asJSON():
			fmt.Fprintf(a.out, "%s\n", e.JSON())
		case !e.End:
			show.Event(display, e, len(s.Points))
			runs = e.Runs
		}
		end = e
	}
	if display != nil {
		display.Close()
		a.note("%s", strings.TrimSpace(fmt.Sprintf("Study %s is %s. %s", s.ID, end.Status, end.Message)))
		if runs.Succeeded > 0 {
			if err := a.showOutcome(ctx, api, s); err != nil {
				return err
			}
		}
		a.failures(s.ID, runs)
		a.note("Fetch the files of all runs: sumo-k8 study results %s", s.ID)
	}
	if end.Status != study.Succeeded {
		return &studyEnd{end.Status}
	}
	return nil
}

// failures says how to find the runs that failed: they are in no other list.
func (a *app) failures(id string, runs client.StudyRuns) {
	if runs.Failed > 0 {
		a.note("List the failed runs: sumo-k8 ls --study %s --status FAILED    See why one failed: sumo-k8 get RUN", id)
	}
}

func (a *app) listStudiesCommand() *cobra.Command {
	var f client.StudyFilter
	var status string
	var most int
	c := &cobra.Command{
		Use: "ls", Short: "List your studies, newest first", Aliases: []string{"list"},
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
	}
	var names []string
	for _, s := range study.States() {
		names = append(names, string(s))
	}
	flags := c.Flags()
	flags.StringVar(&status, "status", "", "only studies in this state: "+strings.Join(names, ", "))
	flags.StringToStringVar(&f.Labels, "label", nil, "only studies with these labels, as key=value")
	flags.IntVarP(&most, "limit", "n", 20, "how many; 0 for all")
	must(c.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp)))
	noFiles(c, "label", "limit")
	c.RunE = a.does(func(ctx context.Context, _ []string) error {
		if most < 0 {
			return usage("--limit %d is not a number of studies", most)
		}
		f.Status = study.State(strings.ToUpper(status))
		api, err := a.tenant()
		if err != nil {
			return err
		}
		return listing[client.Study]{
			name: "studies", most: most,
			heading: []string{"STUDY", "NAME", "STATUS", "RUNS", "DONE", "RUNNING", "FAILED", "CANCELLED", "CREATED"},
			page: func(cursor string, limit int) ([]client.Study, string, error) {
				f.Cursor, f.Limit = cursor, limit
				page, err := api.Studies(ctx, f)
				return page.Studies, page.NextCursor, err
			},
			row: func(s client.Study) []string {
				return []string{
					s.ID, s.Name, string(s.Status), strconv.Itoa(s.Runs.Planned), strconv.Itoa(s.Runs.Done), strconv.Itoa(s.Runs.Running),
					strconv.Itoa(s.Runs.Failed), strconv.Itoa(s.Runs.Cancelled), clock(s.CreatedAt),
				}
			},
		}.print(a)
	})
	return c
}

// oneStudy is a command on the study that its argument names.
func (a *app) oneStudy(use, short string, do func(ctx context.Context, api *client.Client, id string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: a.studyIDs,
		RunE: a.does(func(ctx context.Context, args []string) error {
			api, err := a.tenant()
			if err != nil {
				return err
			}
			return do(ctx, api, args[0])
		}),
	}
}

// studyIDs completes the id of a study.
func (a *app) studyIDs(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	api, err := a.tenant()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	page, err := api.Studies(cmd.Context(), client.StudyFilter{Limit: 20})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var ids []string
	for _, s := range page.Studies {
		ids = append(ids, s.ID+"\t"+s.Name+", "+string(s.Status))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) getStudyCommand() *cobra.Command {
	var follow bool
	c := a.oneStudy("get STUDY", "Show a study with its points", func(ctx context.Context, api *client.Client, id string) error {
		s, err := api.Study(ctx, id)
		if err != nil {
			return err
		}
		if follow {
			return a.followStudy(ctx, api, s)
		}
		a.print(s, func() {
			status := strings.TrimSpace(statusOf(s.Status, s.CancelRequested) + " " + s.Message)
			a.table([][]string{
				{"study", s.ID}, {"name", s.Name}, {"status", status}, {"size", sizeOf(s)},
				{"used", fmt.Sprintf("%.0f core-seconds", s.CoreSeconds)}, {"created", clock(s.CreatedAt)}, {"started", clock(s.StartedAt)},
				{"finished", clock(s.FinishedAt)}, {"expected end", clock(s.ETA)},
			})
			fmt.Fprintln(a.out)
			a.showPoints(s)
			a.studyWarnings(s)
			a.failures(s.ID, s.Runs)
		})
		return nil
	})
	c.Flags().BoolVarP(&follow, "follow", "f", false, "show the progress of all points until the study ends")
	return c
}

func (a *app) cancelStudyCommand() *cobra.Command {
	var purge bool
	c := a.oneStudy("cancel STUDY", "Stop a study", func(ctx context.Context, api *client.Client, id string) error {
		if purge {
			s, err := api.PurgeStudy(ctx, id)
			if err != nil {
				return err
			}
			a.print(s, func() {
				fmt.Fprintf(a.out, "Study %s is removed, with its runs and their results.\n", show.Printable(id))
			})
			return nil
		}
		s, err := api.CancelStudy(ctx, id)
		if err != nil {
			return err
		}
		a.print(s, func() {
			if s.Status.Terminal() {
				fmt.Fprintf(a.out, "Study %s is %s.\n", show.Printable(id), s.Status)
			} else {
				fmt.Fprintf(a.out, "Study %s is being stopped; what has ended is kept.\n", show.Printable(id))
			}
		})
		return nil
	})
	c.Flags().BoolVar(&purge, "purge", false, "remove a finished study with its runs and their results")
	return c
}

func (a *app) extendStudyCommand() *cobra.Command {
	var seeds string
	var aim aimFlags
	var values, variants []string
	var maxParallel int
	var follow bool
	c := a.oneStudy("extend STUDY", "Add seeds, values or variants to a study, or another aim", nil)
	c.Example = "  sumo-k8 study extend $STUDY --seeds 11:20\n  sumo-k8 study extend $STUDY --until 3% --max 60\n" +
		"  sumo-k8 study extend $STUDY --value demand=1.4,1.6 --variant late=late.zip"
	flags := c.Flags()
	flags.StringVar(&seeds, "seeds", "", "further seeds: a range such as 11:20, or a list; those that are there already count once")
	flags.StringArrayVar(&values, "value", nil,
		"further values of an axis, as AXIS=VALUE,VALUE, as with study run --axis; those that are there already count once; repeatable")
	flags.StringArrayVar(&variants, "variant", nil, "a further variant, as [NAME=]FILE.zip|FOLDER|SCENARIO; repeatable")
	flags.IntVar(&maxParallel, "max-parallel", 0, "the most runs at a time")
	flags.BoolVarP(&follow, "follow", "f", false, "show the progress of all points until the study ends")
	aim.add(c)
	noFiles(c, "seeds", "value", "max-parallel")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		api, err := a.tenant()
		if err != nil {
			return err
		}
		var e study.Extension
		if e.Replications, err = replicationsOf(seeds, aim, flags.Changed); err != nil {
			return err
		}
		if flags.Changed("max-parallel") {
			e.MaxParallel = &maxParallel
		}
		if len(values) > 0 || len(variants) > 0 {
			before, err := api.Study(ctx, args[0])
			if err != nil {
				return err
			}
			if len(values) > 0 {
				if e.Values, err = moreValues(before, values); err != nil {
					return err
				}
			}
			if e.Variants, err = a.variants(ctx, api, variants, steered(before)); err != nil {
				return err
			}
			if known := before.Plan.Known(e); len(known) > 0 {
				a.note("There already, and left as they are: %s.", strings.Join(known, ", "))
			}
		}
		s, err := api.ExtendStudy(ctx, args[0], e)
		if err != nil {
			return err
		}
		return a.studied(ctx, api, s, studyFlags{runFlags: runFlags{follow: follow}})
	})
	return c
}

// steered reports whether a controller runs the runs of s.
func steered(s client.Study) bool {
	var run struct{ Controller *simulation.Controller }
	return json.Unmarshal(s.Plan.Run, &run) == nil && run.Controller != nil
}

// moreValues reads AXIS=VALUE,VALUE.
func moreValues(s client.Study, given []string) (map[string][]json.RawMessage, error) {
	values := map[string][]json.RawMessage{}
	for _, text := range given {
		name, list, ok := strings.Cut(text, "=")
		i := slices.IndexFunc(s.Plan.Axes, func(a study.Axis) bool { return a.Name == name })
		if !ok || i < 0 {
			return nil, usage("--value %q does not begin with the name of one of the study's axes and an equals sign", text)
		}
		values[name] = append(values[name], valuesOf(s.Plan.Axes[i].Set, list)...)
	}
	return values, nil
}

func (a *app) retryStudyCommand() *cobra.Command {
	var follow bool
	const short = "Run the failed and cancelled runs of a study again"
	c := a.oneStudy("retry STUDY", short, func(ctx context.Context, api *client.Client, id string) error {
		r, err := api.RetryStudy(ctx, id)
		if err != nil {
			return err
		}
		if !follow {
			a.print(r, func() { fmt.Fprintf(a.out, "%s again.\n", counted(r.Again, "run")) })
			return nil
		}
		s, err := api.Study(ctx, id)
		if err != nil {
			return err
		}
		return a.followStudy(ctx, api, s)
	})
	c.Flags().BoolVarP(&follow, "follow", "f", false, "show the progress of all points until the study ends")
	return c
}
