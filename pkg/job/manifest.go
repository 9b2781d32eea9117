package job

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// ManifestFormat numbers the form of manifests. It changes when a reader of an earlier one would misunderstand.
const ManifestFormat = 1

// Manifest says what decides the results of a run, where it ran, and what it left: enough to run it again and compare.
type Manifest struct {
	Format  int    `json:"format" minimum:"1" doc:"1; another number is another form."`
	Service string `json:"service_version" doc:"Version of the service that wrote the manifest."`
	JobID   string `json:"job_id" format:"uuid"`
	StudyID string `json:"study_id,omitempty" format:"uuid" doc:"The study that the job is a run of; absent for other jobs."`
	Name    string `json:"scenario_id" doc:"The name given at submission."`
	// CachedFrom is empty for a job that ran itself.
	CachedFrom string `json:"cached_from,omitempty" format:"uuid" doc:"The job that ran, if the results were taken from the cache."`
	Status     State  `json:"status" enum:"SUCCEEDED,FAILED,CANCELLED" doc:"How the job ended. Unless it succeeded, files end early."`

	Scenario ManifestScenario   `json:"scenario"`
	Options  simulation.Options `json:"options" doc:"All that was chosen for the run, by the caller or the service. What is absent is the scenario's choice."`
	Seed     int64              `json:"seed" doc:"Seed of SUMO's random number generator."`
	SUMO     ManifestSUMO       `json:"sumo"`

	CPURequest     int `json:"cpu_request" doc:"Cores."`
	MemoryGi       int `json:"memory_gi" doc:"GiB."`
	TimeoutSeconds int `json:"timeout_seconds"`

	Confinement *simulation.Confinement `json:"confinement,omitempty" doc:"What confined SUMO to the run's folder; absent if it never started."`
	StartedAt   *time.Time              `json:"started_at"`
	FinishedAt  *time.Time              `json:"finished_at"`
	Files       []ManifestFile          `json:"files" nullable:"false" doc:"The results with their checksums, also after they were removed because of their age."`
}

// ManifestScenario is the scenario of a run.
type ManifestScenario struct {
	ID      string              `json:"id" doc:"SHA-256 of the scenario: see GET /scenarios/{id}."`
	Derived *ManifestDerivation `json:"derived,omitempty" doc:"How it differs from its base; absent if it was uploaded."`
}

// ManifestDerivation is how a derived scenario differs from its base.
type ManifestDerivation struct {
	Base    string   `json:"base" doc:"Id of the uploaded scenario that it was derived from."`
	Changed []string `json:"changed,omitempty" doc:"Paths of files."`
	Added   []string `json:"added,omitempty"`
	Deleted []string `json:"deleted,omitempty"`
}

// ManifestSUMO is the SUMO of a run.
type ManifestSUMO struct {
	Version string `json:"version" doc:"As jobs name it (sumo_version)." example:"1.28"`
	Build   string `json:"build" doc:"As SUMO names itself; empty if it never started." example:"1.28.0"`
	Image   string `json:"image,omitempty" doc:"The container image that it ran in: the reference that the operator has configured, and the digest that the cluster reports. Without a digest if the image came from no registry. Absent outside containers."`
}

// ManifestFile is one result.
type ManifestFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size" doc:"Bytes."`
	SHA256 string `json:"sha256,omitempty" doc:"Checksum of the file."`
	// ContentSHA256 is simulation.ContentSum of the file.
	ContentSHA256 string `json:"content_sha256,omitempty" doc:"Checksum of what equal runs have in common: the file uncompressed (.gz) and, of XML, without what stands before the root element (SUMO's header with date and paths), without elements performance, and without the attribute duration of the summary's steps. Absent if the file has none."`
	Varies        string `json:"varies,omitempty" doc:"Why the file differs between equal runs, so that it is not compared; absent if it is compared."`

	Roles []simulation.Output `json:"roles,omitempty" doc:"The outputs that the file has, whatever its name."`
}

// Manifest returns that of j, which has finished, as a run of s; service is the version of this service.
func (j Job) Manifest(s scenario.Scenario, service string) Manifest {
	m := Manifest{
		Format: ManifestFormat, Service: service, JobID: j.ID, Name: j.Name, Status: j.State, Options: j.Options,
		Scenario: ManifestScenario{ID: j.ScenarioDigest}, Seed: simulation.DefaultSeed,
		SUMO:       ManifestSUMO{Version: j.Options.SumoVersion, Build: j.SumoVersion, Image: j.Image},
		CPURequest: j.CPURequest, MemoryGi: j.MemoryGi, TimeoutSeconds: j.TimeoutSeconds,
		Confinement: j.Confinement, StartedAt: j.StartedAt, FinishedAt: j.FinishedAt, Files: make([]ManifestFile, len(j.Results)),
	}
	m.CachedFrom = j.CachedFrom
	if j.Study != nil {
		m.StudyID = j.Study.ID
	}
	if d := s.Derived; d.Base != "" {
		m.Scenario.Derived = &ManifestDerivation{Base: d.Base, Changed: d.Changed, Added: d.Added, Deleted: d.Deleted}
	}
	if j.Options.Seed != nil {
		m.Seed = *j.Options.Seed
	}
	for i, f := range j.Results {
		m.Files[i] = ManifestFile{
			Name: f.Name, Size: f.Size, SHA256: f.SHA256, ContentSHA256: f.ContentSHA256, Varies: simulation.Varies(f.Name), Roles: f.Roles,
		}
	}
	return m
}

// Verdict says how a file compares with that of an earlier run.
type Verdict string

// The verdicts.
const (
	EqualFile     Verdict = "equal"
	DifferentFile Verdict = "different"
	MissingFile   Verdict = "missing"      // only the earlier run left it
	FurtherFile   Verdict = "further"      // only the later run left it
	Uncompared    Verdict = "not compared" // it differs between equal runs, or has no checksum
)

// ComparedFile is one file of two runs.
type ComparedFile struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	Remark  string  `json:"remark,omitempty"` // for a person
}

// ManifestComparison is what a run and its repetition have in common.
type ManifestComparison struct {
	// Same is true if the later run has every compared file of the earlier one with the same content, no further one, and succeeded as well.
	Same  bool           `json:"same"`
	Files []ComparedFile `json:"files"` // in the order of their names
	// Notes say what may explain differences.
	Notes []string `json:"notes"`
}

// Compare compares the results of again, which repeats m.
func (m Manifest) Compare(again Manifest) ManifestComparison {
	c := ManifestComparison{Same: m.Status == again.Status, Files: []ComparedFile{}, Notes: []string{}}
	note := func(what, was, is string) {
		if was != is {
			c.Notes = append(c.Notes, fmt.Sprintf("%s was %s and is %s.", what, cmp.Or(was, "unknown"), cmp.Or(is, "unknown")))
		}
	}
	note("The end", string(m.Status), string(again.Status))
	note("The scenario", m.Scenario.ID, again.Scenario.ID)
	note("The build of SUMO", m.SUMO.Build, again.SUMO.Build)
	if !sameImage(m.SUMO.Image, again.SUMO.Image) {
		note("The image", m.SUMO.Image, again.SUMO.Image)
	}
	files := map[string][2]*ManifestFile{}
	for i, of := range [2][]ManifestFile{m.Files, again.Files} {
		for k := range of {
			pair := files[of[k].Name]
			pair[i] = &of[k]
			files[of[k].Name] = pair
		}
	}
	compared := 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f := compareFiles(files[name][0], files[name][1])
		f.Name = name
		c.Files = append(c.Files, f)
		c.Same = c.Same && (f.Verdict == EqualFile || f.Verdict == Uncompared)
		if f.Verdict != Uncompared {
			compared++
		}
	}
	if compared == 0 {
		c.Same = false
		c.Notes = append(c.Notes, "No file could be compared.")
	}
	return c
}

// sameImage reports whether two images may be the same: those with the same digest are, whatever their names, and without digests the name
// is all that is known.
func sameImage(a, b string) bool {
	nameA, digestA, _ := strings.Cut(a, "@")
	nameB, digestB, _ := strings.Cut(b, "@")
	if digestA != "" && digestB != "" {
		return digestA == digestB
	}
	return nameA == nameB
}

// compareFiles compares a file with the later one; either may be nil.
func compareFiles(was, is *ManifestFile) ComparedFile {
	switch {
	case was != nil && was.Varies != "" || is != nil && is.Varies != "":
		return ComparedFile{Verdict: Uncompared, Remark: cmp.Or(is, was).Varies}
	case is == nil:
		return ComparedFile{Verdict: MissingFile}
	case was == nil:
		return ComparedFile{Verdict: FurtherFile}
	case was.ContentSHA256 != "" && is.ContentSHA256 != "":
		if was.ContentSHA256 == is.ContentSHA256 {
			return ComparedFile{Verdict: EqualFile}
		}
		return ComparedFile{Verdict: DifferentFile}
	case was.SHA256 == "" || is.SHA256 == "":
		return ComparedFile{Verdict: Uncompared, Remark: "has no checksum"}
	case was.SHA256 == is.SHA256:
		return ComparedFile{Verdict: EqualFile}
	default:
		return ComparedFile{Verdict: DifferentFile, Remark: "compared as a whole, with dates in it if it has any"}
	}
}
