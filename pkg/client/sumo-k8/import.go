package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/predecessor"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
	domain "github.com/sumo-k8/sumo-k8/pkg/tenant" // tenant is what this program calls its caller
)

const (
	importVariable = "SUMO_K8_IMPORT_FROM"
	// tenantBatch is small, because each tenant gets a namespace, which can take seconds.
	tenantBatch = client.MaxImportedTenants / 4
	// jobBatchBytes is well below the 1 MiB that the service accepts.
	jobBatchBytes = 512 << 10
	// namedDrops is how many values that were left out of a job the report names.
	namedDrops = 10
	// listedJobs is how many jobs the report lists of a kind; with -o json it lists all.
	listedJobs = 50
	// The predecessor's defaults, for jobs that do not say what they asked for.
	predecessorCPU, predecessorMemoryGi = 2, 4
)

func (a *app) importCommand() *cobra.Command {
	var from string
	var renames map[string]string
	var dry bool
	c := &cobra.Command{
		Use:   "import",
		Short: "Import tenants with their keys, and finished jobs, from the predecessor's database",
		Long: `Reads the predecessor's Postgres and gives its tenants to this service with the admin key: their API keys go on
working, and their limits stay. Only hashes of the keys are sent. Finished jobs are kept for the record: sumo-k8 ls
and sumo-k8 get show them, and their results stay where they are. Unfinished jobs are listed.

Nothing is written to the predecessor's database. What is here already stays as it is, so the command can be repeated,
for example after the clients have moved. docs/migration.md walks through it.

The address of the database is a URL, postgres://user:password@host/database; as ` + importVariable + ` it is not
seen in the list of processes.`,
		Example: "  " + importVariable + "=postgres://reader@old-db/sumo_k8 sumo-k8 import --dry-run\n" +
			"  sumo-k8 import --rename 'city/a=city-a'",
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
	}
	c.Flags().StringVar(&from, "from", "", "address of the predecessor's database (default: "+importVariable+")")
	c.Flags().StringToStringVar(&renames, "rename", nil, "ids of tenants that change, as OLD=NEW")
	c.Flags().BoolVar(&dry, "dry-run", false, "change nothing, and print what would happen")
	noFiles(c, "from", "rename")
	c.RunE = a.does(func(ctx context.Context, _ []string) error {
		if from = cmp.Or(from, a.env(importVariable)); from == "" {
			return usage("no database is named; set %s to its address, such as postgres://user:password@host/database", importVariable)
		}
		api, err := a.operator()
		if err != nil {
			return err
		}
		db, err := predecessor.Open(ctx, from)
		if err != nil {
			return err
		}
		defer db.Close()
		i := importer{a: a, api: api, db: db, renames: renames, report: importReport{DryRun: dry, Missing: db.Missing}}
		if err = i.tenants(ctx); err == nil {
			err = i.jobs(ctx)
		}
		if err != nil {
			i.a.note("The import broke off. Run it again: what is imported already stays as it is.")
			return err
		}
		return i.show()
	})
	return c
}

// importReport is what an import did.
type importReport struct {
	DryRun     bool            `json:"dry_run"`
	Missing    []string        `json:"missing"`
	Tenants    []tenantReport  `json:"tenants"`
	Jobs       jobCounts       `json:"jobs"`
	Refused    []jobReport     `json:"refused_jobs"`
	Changed    []changedJob    `json:"changed_jobs"`
	Unfinished []unfinishedJob `json:"unfinished_jobs"`
}

type tenantReport struct {
	Old     string               `json:"old_tenant_id"`
	New     string               `json:"tenant_id"`
	Outcome domain.ImportOutcome `json:"outcome"`
	Notes   []string             `json:"notes"`
}

type jobCounts struct {
	New        int `json:"new"`
	Present    int `json:"present"`
	Refused    int `json:"refused"`
	Unfinished int `json:"unfinished"`
}

type jobReport struct {
	ID       string `json:"job_id"`
	TenantID string `json:"old_tenant_id"`
	Reason   string `json:"reason"`
}

// changedJob was imported, or would be, without a part of what the predecessor recorded.
type changedJob struct {
	ID       string   `json:"job_id"`
	TenantID string   `json:"old_tenant_id"`
	Notes    []string `json:"notes"`
}

type unfinishedJob struct {
	ID       string `json:"job_id"`
	TenantID string `json:"old_tenant_id"`
	Status   string `json:"status"`
}

// importer carries out one import.
type importer struct {
	a       *app
	api     *client.Client
	db      *predecessor.Database
	renames map[string]string
	report  importReport

	accepted map[string]string // our id of each tenant that is here, by its old id
}

func (i *importer) tenants(ctx context.Context) error {
	found, unread, err := i.db.Tenants(ctx)
	if err != nil {
		return err
	}
	for _, row := range unread {
		i.report.Tenants = append(i.report.Tenants, tenantReport{Old: row.ID, Outcome: domain.ImportRefused, Notes: []string{row.Reason}})
	}
	i.accepted = map[string]string{}
	for old := range i.renames {
		if !slices.ContainsFunc(found, func(t predecessor.Tenant) bool { return t.ID == old }) {
			return usage("--rename names %q, which is no tenant of the predecessor", old)
		}
	}
	bar := show.NewCount(i.a.err, "tenants", int64(len(found)))
	defer bar.Close()
	for batch := range slices.Chunk(found, tenantBatch) {
		sent, notes := make([]client.ImportedTenant, len(batch)), make([][]string, len(batch))
		for k, t := range batch {
			sent[k], notes[k] = i.tenant(t)
		}
		results, err := i.api.ImportTenants(ctx, sent, i.report.DryRun)
		if err != nil {
			return err
		}
		if len(results) != len(batch) {
			return fmt.Errorf("the service answered for %d of %d tenants", len(results), len(batch))
		}
		for k, r := range results {
			if r.Outcome != domain.ImportRefused {
				i.accepted[batch[k].ID] = r.ID
			}
			i.report.Tenants = append(i.report.Tenants, tenantReport{
				Old: batch[k].ID, New: r.ID, Outcome: r.Outcome, Notes: append(append([]string{}, notes[k]...), r.Notes...),
			})
		}
		bar.At(int64(len(i.report.Tenants)))
	}
	return nil
}

// tenant is t as it is sent, and notes on it.
func (i *importer) tenant(t predecessor.Tenant) (sent client.ImportedTenant, notes []string) {
	sent = client.ImportedTenant{
		ID: i.newID(t.ID), MaxCPU: int(t.MaxCPU), MaxMemoryGi: int(t.MaxMemoryGi), MaxJobs: int(t.MaxConcurrentJobs),
	}
	if at := t.CreatedAt.At(); at != nil {
		sent.CreatedAt = *at
	}
	if domain.CheckID(sent.ID) != nil {
		notes = append(notes, fmt.Sprintf("Give it another id: --rename %q=NEW.", t.ID))
	}
	key := strings.TrimSpace(t.APIKey) // as the predecessor read the header
	switch fault := domain.ImportedKeyFault(key); {
	case key == "":
	case fault != "":
		notes = append(notes, "Its key "+fault+", and stops working.")
	default:
		hash, hint := domain.HashImportedKey(key)
		sent.KeySHA256, sent.KeyHint = hex.EncodeToString(hash), hint
	}
	return sent, notes
}

func (i *importer) newID(old string) string {
	if id, ok := i.renames[old]; ok {
		return id
	}
	return old
}

func (i *importer) jobs(ctx context.Context) error {
	total, err := i.db.CountJobs(ctx)
	if err != nil {
		return err
	}
	bar := show.NewCount(i.a.err, "jobs", total)
	defer bar.Close()
	var batch jobBatch
	size, done := 0, int64(0)
	flush := func() error {
		err := i.send(ctx, batch)
		batch, size = jobBatch{}, 0
		bar.At(done)
		return err
	}
	for j, err := range i.db.Jobs(ctx) {
		var row *predecessor.RowError
		if err != nil && !errors.As(err, &row) {
			return err
		}
		done++
		id, accepted := i.accepted[j.TenantID]
		switch {
		case row != nil:
			i.refused(row.ID, j.TenantID, row.Reason)
			continue
		case !j.Finished():
			i.report.Jobs.Unfinished++
			i.report.Unfinished = append(i.report.Unfinished, unfinishedJob{j.ID, j.TenantID, j.Status})
			continue
		case !accepted:
			i.refused(j.ID, j.TenantID, "Its tenant was not imported.")
			continue
		}
		sent, notes := importedJob(j, id)
		raw, err := json.Marshal(sent)
		if err != nil {
			return fmt.Errorf("writing job %s: %w", j.ID, err)
		}
		if len(raw) > jobBatchBytes {
			i.refused(j.ID, j.TenantID, fmt.Sprintf("Its record has more than %d KiB.", jobBatchBytes>>10))
			continue
		}
		if len(batch.jobs) == client.MaxImportedJobs || size+len(raw) > jobBatchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		batch.add(sent, j.TenantID, notes)
		size += len(raw)
	}
	return flush()
}

func (i *importer) refused(id, tenantID, reason string) {
	i.report.Jobs.Refused++
	i.report.Refused = append(i.report.Refused, jobReport{id, tenantID, reason})
}

// jobBatch is what one call imports.
type jobBatch struct {
	jobs   []client.ImportedJob
	owners []string   // the old ids of their tenants
	notes  [][]string // what is not sent of each
}

func (b *jobBatch) add(j client.ImportedJob, owner string, notes []string) {
	b.jobs, b.owners, b.notes = append(b.jobs, j), append(b.owners, owner), append(b.notes, notes)
}

func (i *importer) send(ctx context.Context, batch jobBatch) error {
	if len(batch.jobs) == 0 {
		return nil
	}
	results, err := i.api.ImportJobs(ctx, batch.jobs, i.report.DryRun)
	if err != nil {
		return err
	}
	if len(results) != len(batch.jobs) {
		return fmt.Errorf("the service answered for %d of %d jobs", len(results), len(batch.jobs))
	}
	for k, r := range results {
		switch r.Outcome {
		case domain.ImportNew:
			i.report.Jobs.New++
			if notes := slices.Concat(batch.notes[k], r.Notes); len(notes) > 0 {
				i.report.Changed = append(i.report.Changed, changedJob{r.ID, batch.owners[k], notes})
			}
		case domain.ImportPresent:
			i.report.Jobs.Present++
		default:
			i.refused(r.ID, batch.owners[k], r.Reason)
		}
	}
	return nil
}

// importedJob is j as it is sent, for the tenant with an id of ours, and notes on what is not sent of it. A time that the predecessor did
// not record is the nearest that it did.
func importedJob(j predecessor.Job, tenantID string) (out client.ImportedJob, notes []string) {
	scenario, results := j.Scenario.Value, j.Results.Value
	submitted, started, finished := j.SubmittedAt.At(), j.StartedAt.At(), j.FinishedAt.At()
	out = client.ImportedJob{
		ID: j.ID, TenantID: tenantID, Name: string(cmp.Or(scenario.ScenarioID, j.ScenarioID)), Status: j.Status, StartedAt: started,
		FinishedAt: cmp.Or(finished, started, submitted),
		CPURequest: cmp.Or(int(j.CPURequest), predecessorCPU), MemoryGi: cmp.Or(int(j.MemoryGi), predecessorMemoryGi),
		Premium: bool(scenario.Premium), ConfigFile: string(scenario.ConfigFile), Error: string(cmp.Or(results.Error, j.Error)),
		ResultLocation: string(j.ResultLocation), StorageType: string(results.StorageType), Prefix: string(results.Prefix),
		Uploaded: bool(results.Uploaded),
	}
	if at := cmp.Or(submitted, started, finished); at != nil {
		out.SubmittedAt = *at
	}
	files := results.Files.List
	if len(files) > client.MaxImportedFiles {
		notes = append(notes, fmt.Sprintf("It has %d result files; the first %d are kept.", len(files), client.MaxImportedFiles))
		files = files[:client.MaxImportedFiles]
	}
	for _, f := range files {
		out.Files = append(out.Files, client.ImportedFile{Name: string(f.Name), Size: max(int64(f.Size), 0), URL: string(f.URL)})
	}
	if dropped := j.Dropped(); len(dropped) > 0 {
		names := strings.Join(dropped[:min(len(dropped), namedDrops)], ", ")
		if more := len(dropped) - namedDrops; more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		notes = append(notes, "Left out, because of an unexpected type: "+names+".")
	}
	return out, notes
}

// show prints the report. Its error says that something was refused, which the report lists.
func (i *importer) show() error {
	r := i.report
	if i.a.asJSON() {
		raw, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
		fmt.Fprintln(i.a.out, string(raw))
	} else {
		i.words(r)
	}
	if r.Jobs.Refused > 0 || slices.ContainsFunc(r.Tenants, func(t tenantReport) bool { return t.Outcome == domain.ImportRefused }) {
		return &reported{&client.Error{Detail: "some tenants or jobs were refused"}}
	}
	return nil
}

func (i *importer) words(r importReport) {
	for _, missing := range r.Missing {
		i.a.note("%s", missing)
	}
	rows := [][]string{{"TENANT", "HERE", "OUTCOME"}}
	counts := map[domain.ImportOutcome]int{}
	for _, t := range r.Tenants {
		rows = append(rows, []string{t.Old, t.New, string(t.Outcome)})
		counts[t.Outcome]++
		for _, note := range t.Notes {
			i.a.note("%s: %s", t.Old, note)
		}
	}
	i.a.table(rows)
	fmt.Fprintln(i.a.out)
	i.list("JOB NOT IMPORTED", "REASON", len(r.Refused), func(k int) []string {
		return []string{r.Refused[k].ID, r.Refused[k].TenantID, r.Refused[k].Reason}
	})
	i.list("JOB CHANGED", "NOTES", len(r.Changed), func(k int) []string {
		return []string{r.Changed[k].ID, r.Changed[k].TenantID, strings.Join(r.Changed[k].Notes, " ")}
	})
	i.list("JOB UNFINISHED", "STATUS", len(r.Unfinished), func(k int) []string {
		return []string{r.Unfinished[k].ID, r.Unfinished[k].TenantID, r.Unfinished[k].Status}
	})
	fmt.Fprintf(i.a.out, "Tenants: %d new, %d present, %d refused.\n", counts[domain.ImportNew], counts[domain.ImportPresent],
		counts[domain.ImportRefused])
	fmt.Fprintf(i.a.out, "Jobs: %d new, %d present, %d refused; %d unfinished, which are not imported.\n", r.Jobs.New, r.Jobs.Present,
		r.Jobs.Refused, r.Jobs.Unfinished)
	if r.DryRun {
		fmt.Fprintln(i.a.out, "This was a dry run: nothing has changed.")
	}
}

// list prints a table of up to listedJobs jobs, if there are any.
func (i *importer) list(title, last string, n int, row func(k int) []string) {
	if n == 0 {
		return
	}
	rows := [][]string{{title, "TENANT", last}}
	for k := range min(n, listedJobs) {
		rows = append(rows, row(k))
	}
	i.a.table(rows)
	if n > listedJobs {
		fmt.Fprintf(i.a.out, "… and %d more; -o json lists all.\n", n-listedJobs)
	}
	fmt.Fprintln(i.a.out)
}
