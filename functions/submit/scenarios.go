package submit

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/idempotency"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
)

var uploadErrors = []int{
	http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity,
}

func (f *Function) registerScenarios(api huma.API) {
	tags := []string{"Scenarios"}
	form := newFormReader[struct{}](api, 0)
	store := func(ctx context.Context, in *storeRequest) (*storeAnswer, error) {
		return f.storeScenario(ctx, form, in)
	}
	const stored = "Send the zip as the body, or as sumo_files in multipart/form-data. The same bytes are the same scenario: sent again, " +
		"they are not stored twice, and the answer has the same id. All problems found are reported together."
	for method, id := range map[string]string{http.MethodPost: "store-scenario", http.MethodPut: "put-scenario"} {
		rest.Register(api, rest.Tenant, huma.Operation{
			OperationID: id, Method: method, Path: "/scenarios", Tags: tags,
			Summary: "Store a scenario for one or more runs", Description: stored, Errors: uploadErrors,
		}, store)
	}
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "validate-scenario", Method: http.MethodPost, Path: "/scenarios/validate", Tags: tags,
		Summary:     "Check a scenario without storing it",
		Description: "Send the zip as to /scenarios. A broken scenario also answers 200, with all its problems.",
		Errors:      []int{http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType},
	}, func(ctx context.Context, in *validateRequest) (*validateAnswer, error) {
		return f.validate(ctx, form, in)
	})
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "derive-scenario", Method: http.MethodPost, Path: "/scenarios/{id}/derive", Tags: tags,
		Summary: "Make a scenario from another by changing some of its files",
		Description: "Send a zip of the changed and added files as to /scenarios, by their paths in the scenario, and name in delete what is " +
			"left out; for deletions only, send no body. The new scenario shares all else with the other one, and is checked as a whole, as if " +
			"it had been uploaded in one zip. Either can be deleted without harm to the other. The same changes to the same zip, in one step " +
			"or several, are the same scenario.",
		Errors: append([]int{http.StatusNotFound}, uploadErrors...),
	}, func(ctx context.Context, in *deriveRequest) (*storeAnswer, error) {
		return f.derive(ctx, form, in)
	})
	// Documented only now: huma would read a body that it knows into memory.
	paths, body := api.OpenAPI().Paths, zipBody(form)
	changes := *body
	changes.Required, changes.Description = false, "The changed and added files."
	paths["/scenarios/{id}/derive"].Post.RequestBody = &changes
	paths["/scenarios"].Post.RequestBody, paths["/scenarios"].Put.RequestBody = body, body
	paths["/scenarios/validate"].Post.RequestBody = body
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "delete-scenario", Method: http.MethodDelete, Path: "/scenarios/{id}", Tags: tags,
		Summary: "Delete a scenario",
		Description: "Refused while an unfinished job or study needs it. Finished jobs keep their results but cannot be retried. Scenarios " +
			"that were derived from it stay as they are.",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, f.deleteScenario)

	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "begin-upload", Method: http.MethodPost, Path: "/scenarios/uploads", Tags: tags,
		Summary: "Start the direct upload of a large scenario",
		Description: "Returns a link to the object store; PUT the zip there without a key. The link accepts exactly the announced " +
			"size. Then complete the upload. An upload that is not completed within a day is abandoned.",
		Errors: []int{http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity},
	}, f.beginUpload)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "complete-upload", Method: http.MethodPost, Path: "/scenarios/uploads/{id}/complete", Tags: tags,
		Summary:     "Complete a direct upload and store its scenario",
		Description: "Checks the zip that has arrived. A refused zip is removed together with its upload. The call may be repeated.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity},
	}, f.completeUpload)
	rest.Register(api, rest.Tenant, huma.Operation{
		OperationID: "delete-upload", Method: http.MethodDelete, Path: "/scenarios/uploads/{id}", Tags: tags,
		Summary: "Abandon a direct upload",
		Errors:  []int{http.StatusNotFound},
	}, f.deleteUpload)
}

func zipBody(form *formReader[struct{}]) *huma.RequestBody {
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/zip":     {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
		"multipart/form-data": form.requestBody().Content["multipart/form-data"],
	}}
}

// Purpose is a query parameter of what takes a zip.
type Purpose struct {
	For string `query:"for" enum:"program" doc:"program: a controller or a tool runs the scenario. What keeps SUMO from running a configuration, or the lack of one, is then a warning, and a job without either is refused."`
}

func (p Purpose) program() bool { return p.For == "program" }

type storeRequest struct {
	Purpose
	Name           string `query:"name" maxLength:"200" doc:"A display name; defaults to the file's name."`
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"Optional, since the same upload is always the same scenario; a key already used for another upload is refused."`
	http           *http.Request
}

// Resolve implements huma.Resolver: it keeps the request, whose body is read as it arrives.
func (in *storeRequest) Resolve(ctx huma.Context) []error {
	in.http = rest.StreamIn(ctx)
	return nil
}

// StoredScenario is the answer to an upload.
type StoredScenario struct {
	rest.Scenario
	Created bool       `json:"created" doc:"False if the scenario was stored already."`
	Step    *rest.Step `json:"step,omitempty" doc:"In the answer to a derivation, what it has differently from the scenario that the call named, which may be derived itself; derived has all that differs from their common base."`
}

type storeAnswer struct{ Body StoredScenario }

func (f *Function) storeScenario(ctx context.Context, form *formReader[struct{}], in *storeRequest) (*storeAnswer, error) {
	t := rest.TenantOf(ctx)
	out := &storeAnswer{}
	err := takeZip(in.http, form, in.Name, func(zip part) error {
		s, created, err := f.acceptUpload(ctx, t, zip, in.http.ContentLength, scenario.About{
			Name:  zip.name,
			Check: f.remember(t.ID, in.IdempotencyKey, "store-scenario"), Program: in.program(),
		})
		out.Body = StoredScenario{Scenario: rest.ScenarioOf(s), Created: created}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// remember refuses a scenario whose request has a key that came with another one.
func (f *Function) remember(tenantID, key, operation string) func(ctx context.Context, digest string) error {
	return func(ctx context.Context, digest string) error {
		idem, err := idempotency.Of(key, operation, nil, digest)
		if idem == nil {
			return err
		}
		return f.Scenarios.Store.Remember(ctx, tenantID, *idem)
	}
}

type deriveRequest struct {
	Purpose
	ID             string   `path:"id" doc:"Id of the scenario to derive from."`
	Delete         []string `query:"delete,explode" maxItems:"1000" doc:"A file, or a folder with all its files, to leave out. It may be given several times. What is sent comes afterwards, so a folder may be deleted and filled again."`
	Name           string   `query:"name" maxLength:"200" doc:"A display name; defaults to that of the other scenario."`
	IdempotencyKey string   `header:"Idempotency-Key" maxLength:"255" doc:"Optional, since the same changes are always the same scenario; a key already used for other changes is refused."`
	http           *http.Request
}

// Resolve implements huma.Resolver: it keeps the request, whose body is read as it arrives.
func (in *deriveRequest) Resolve(ctx huma.Context) []error {
	in.http = rest.StreamIn(ctx)
	return nil
}

func (f *Function) derive(ctx context.Context, form *formReader[struct{}], in *deriveRequest) (*storeAnswer, error) {
	t := rest.TenantOf(ctx)
	out := &storeAnswer{}
	err := takeZip(in.http, form, "", func(zip part) error {
		return f.within(in.http.ContentLength, func() error {
			s, step, created, err := f.Scenarios.Derive(ctx, t, scenario.Derivation{
				From: in.ID, Files: zip, Delete: in.Delete,
				About: scenario.About{
					Name: scenario.PrintableName(in.Name), Check: f.remember(t.ID, in.IdempotencyKey, "derive-scenario"), Program: in.program(),
				},
			})
			out.Body = StoredScenario{Scenario: rest.ScenarioOf(s), Created: created, Step: rest.StepOf(step)}
			return err
		})
	})
	if err != nil && problem.CodeOf(err) != problem.TooLarge { // an unknown scenario is the first thing to say about a request without files
		if _, unknown := f.Scenarios.Store.Scenario(ctx, t.ID, in.ID); problem.CodeOf(unknown) == problem.NotFound {
			err = unknown
		}
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// takeZip hands the zip of a request to take, whether it is the body or a file of a form, and under name if that is not empty.
func takeZip(r *http.Request, form *formReader[struct{}], name string, take func(part) error) error {
	named := func(zip part) error {
		if name := scenario.PrintableName(name); name != "" {
			zip.name = name
		}
		return take(zip)
	}
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "multipart/form-data" {
		// Whatever the Content-Type: curl --data-binary calls everything a form.
		return named(part{Reader: r.Body})
	}
	read, err := form.read(r, func(zip part, _ *struct{}) error { return named(zip) })
	if err == nil && !read.uploaded {
		err = problem.New(problem.Invalid, "The form has no zip. Send it as the file field %s, or as the body itself.", fileField).
			WithItems(problem.Item{Location: "body." + fileField, Message: "is missing"})
	}
	return err
}

type validateRequest struct {
	Purpose
	ConfigFile string `query:"config_file" maxLength:"500" doc:"Only what this configuration leads to must be right, as for a job with this config_file; if left out, one configuration at least."`
	http       *http.Request
}

// Resolve implements huma.Resolver: it keeps the request, whose body is read as it arrives.
func (in *validateRequest) Resolve(ctx huma.Context) []error {
	in.http = rest.StreamIn(ctx)
	return nil
}

// Validation is what was found in a zip.
type Validation struct {
	Valid        bool                  `json:"valid" doc:"Whether a job could run the scenario, in the interval of its configuration."`
	Detail       string                `json:"detail" doc:"Empty if valid, otherwise a sentence on the first problem."`
	Errors       []problem.Item        `json:"errors" doc:"Every problem found."`
	Warnings     []string              `json:"warnings" doc:"Remarks; the scenario can still be run."`
	ID           string                `json:"id" doc:"SHA-256 of the zip: the id the scenario would have."`
	Size         int64                 `json:"size" doc:"Size of the zip in bytes."`
	UnpackedSize int64                 `json:"unpacked_size" doc:"Total size of the files in bytes."`
	Configs      []rest.ScenarioConfig `json:"configs" doc:"The configurations that could be read."`
	Files        []scenario.File       `json:"files"`
}

type validateAnswer struct{ Body Validation }

func (f *Function) validate(ctx context.Context, form *formReader[struct{}], in *validateRequest) (*validateAnswer, error) {
	t := rest.TenantOf(ctx)
	var found rest.Scenario
	var wrong *problem.Error
	err := takeZip(in.http, form, "", func(zip part) error {
		return f.within(in.http.ContentLength, func() error {
			s, err := f.Scenarios.Validate(ctx, t, zip, scenario.About{Config: in.ConfigFile, Program: in.program()})
			found = rest.ScenarioOf(s)
			if errors.As(err, &wrong) && wrong.Code == problem.ScenarioInvalid {
				return nil
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	out := Validation{
		Valid: wrong == nil, Errors: []problem.Item{}, Warnings: found.Warnings, ID: found.ID, Size: found.Size, UnpackedSize: found.UnpackedSize,
		Configs: found.Configs, Files: found.Files,
	}
	if wrong != nil {
		out.Detail, out.Errors = wrong.Detail, wrong.Items
	}
	return &validateAnswer{Body: out}, nil
}

type scenarioRequest struct {
	ID string `path:"id" doc:"Id of the scenario."`
}

type deleteScenarioAnswer struct {
	Body struct {
		ID     string `json:"id"`
		Status string `json:"status" enum:"deleted"`
	}
}

func (f *Function) deleteScenario(ctx context.Context, in *scenarioRequest) (*deleteScenarioAnswer, error) {
	if _, err := f.Scenarios.Delete(ctx, rest.TenantOf(ctx), in.ID); err != nil {
		return nil, err
	}
	out := &deleteScenarioAnswer{}
	out.Body.ID, out.Body.Status = in.ID, "deleted"
	return out, nil
}

type beginRequest struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"Repeating a request with the same key returns the upload that it started the first time. Keys are kept for 24 hours."`
	Body           struct {
		Size   int64  `json:"size" minimum:"1" doc:"Size of the zip in bytes."`
		SHA256 string `json:"sha256,omitempty" pattern:"^[0-9a-f]{64}$" doc:"SHA-256 of the zip, if known: a zip that is already stored need not be sent, and one that arrives damaged is refused."`
		Name   string `json:"name,omitempty" maxLength:"200" doc:"A display name."`
	}
}

// DirectUpload is a zip on its way into the object store.
type DirectUpload struct {
	Status    string     `json:"status" enum:"waiting,stored" doc:"waiting: PUT the zip to url, then complete the upload. stored: the scenario exists already, so nothing needs to be sent."`
	Scenario  string     `json:"scenario,omitempty" doc:"Id of the scenario, once stored."`
	UploadID  string     `json:"upload_id,omitempty" format:"uuid"`
	Method    string     `json:"method,omitempty" enum:"PUT"`
	URL       string     `json:"url,omitempty" format:"uri" doc:"Accepts the zip without a key. Send no Authorization header; Content-Length must equal the announced size."`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"When url stops accepting new requests. A transfer under way may finish."`
}

type beginAnswer struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true if the Idempotency-Key had already started this upload."`
	Body     DirectUpload
}

func (f *Function) beginUpload(ctx context.Context, in *beginRequest) (*beginAnswer, error) {
	t := rest.TenantOf(ctx)
	idem, err := idempotency.Of(in.IdempotencyKey, "begin-upload", in.Body, "")
	if err != nil {
		return nil, err
	}
	u, created, err := f.Scenarios.Begin(ctx, t, scenario.Upload{
		Name: scenario.PrintableName(in.Body.Name), Size: in.Body.Size, Expected: in.Body.SHA256,
	}, idem)
	if err != nil {
		return nil, err
	}
	out := &beginAnswer{Replayed: rest.Replayed(!created && u.ID != "")}
	if u.Digest != "" {
		out.Body = DirectUpload{Status: "stored", Scenario: u.Digest}
		return out, nil
	}
	expires := f.Now().Add(f.LinkLifetime).UTC().Truncate(time.Second)
	link, err := f.Objects.PresignPut(ctx, artifact.UploadKey(t.Namespace, u.ID), u.Size, f.LinkLifetime)
	if err != nil {
		return nil, err
	}
	out.Body = DirectUpload{Status: "waiting", UploadID: u.ID, Method: http.MethodPut, URL: link, ExpiresAt: &expires}
	return out, nil
}

type uploadRequest struct {
	ID string `path:"id" doc:"The upload_id returned when the upload was started."`
}

type completeRequest struct {
	Purpose
	ID string `path:"id" doc:"The upload_id returned when the upload was started."`
}

func (f *Function) completeUpload(ctx context.Context, in *completeRequest) (*storeAnswer, error) {
	s, created, err := f.Scenarios.Complete(ctx, rest.TenantOf(ctx), in.ID, in.program())
	if err != nil {
		return nil, err
	}
	return &storeAnswer{Body: StoredScenario{Scenario: rest.ScenarioOf(s), Created: created}}, nil
}

type deleteUploadAnswer struct {
	Body struct {
		UploadID string `json:"upload_id"`
		Status   string `json:"status" enum:"deleted"`
	}
}

func (f *Function) deleteUpload(ctx context.Context, in *uploadRequest) (*deleteUploadAnswer, error) {
	if err := f.Scenarios.Abandon(ctx, rest.TenantOf(ctx), in.ID); err != nil {
		return nil, err
	}
	out := &deleteUploadAnswer{}
	out.Body.UploadID, out.Body.Status = in.ID, "deleted"
	return out, nil
}
