package scenario

import (
	"archive/zip"
	"context"
	"errors"
	"io"
	"net/url"
	"path"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Importer takes in scenarios from S3 buckets that the operator has opened to their tenants.
type Importer struct {
	Intake *Intake
	Inputs artifact.Inputs
	// OwnBucket is the service's own, from which no input is ever read: it holds every tenant's data.
	OwnBucket string
}

// input is one s3:// object.
type input struct{ bucket, key string }

// Import stores the scenario at urls: one zip, or the files of a scenario, which it zips on the way. Of about, only Config and Program
// are given.
func (im *Importer) Import(ctx context.Context, t tenant.Tenant, urls []string, about About) (Scenario, error) {
	inputs := make([]input, len(urls))
	for i, raw := range urls {
		var err error
		if inputs[i], err = im.parse(t, raw); err != nil {
			return Scenario{}, err
		}
	}
	ctx, end, err := im.Intake.Share.Begin(ctx, t.ID)
	if err != nil {
		return Scenario{}, err
	}
	defer end()
	if len(inputs) == 1 && strings.EqualFold(path.Ext(inputs[0].key), ".zip") {
		return im.importZip(ctx, t, inputs[0], about)
	}
	reader, writer := io.Pipe()
	defer func() { _ = reader.Close() }() // ends the goroutine below when Accept gives up early
	go func() { writer.CloseWithError(im.zip(ctx, inputs, writer)) }()
	about.Name = NameOf(strings.TrimSuffix(sharedFolder(inputs), "/"))
	s, _, err := im.Intake.Accept(ctx, t, reader, about)
	return s, err
}

func (im *Importer) importZip(ctx context.Context, t tenant.Tenant, in input, about About) (Scenario, error) {
	body, size, err := im.open(ctx, in)
	if err != nil {
		return Scenario{}, err
	}
	defer body.Close()
	if size > im.Intake.Limits.Upload {
		return Scenario{}, TooLarge(size, im.Intake.Limits)
	}
	about.Name = NameOf(in.key)
	s, _, err := im.Intake.Accept(ctx, t, body, about)
	return s, err
}

func (im *Importer) parse(t tenant.Tenant, raw string) (input, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		len(u.Path) < 2 || strings.HasSuffix(u.Path, "/") {
		return input{}, problem.New(problem.Invalid, "%.200q is not the address of an S3 object. Write it as s3://bucket/key.", raw)
	}
	in := input{bucket: u.Host, key: u.Path[1:]}
	if fault := artifact.InputKeyFault(in.key); fault != "" {
		return input{}, problem.New(problem.Invalid, "The key in %.200q %s.", raw, fault)
	}
	if in.bucket == im.OwnBucket || !t.MayRead(in.bucket, in.key) {
		return input{}, problem.New(problem.Invalid, "This tenant may not read %.200q. An operator can open the bucket for it: PATCH "+
			"/auth/tenants/{id} with input_buckets.", raw)
	}
	return in, nil
}

// open opens an input. One that is missing, or closed to us, is a fault of the request rather than a missing resource of ours.
func (im *Importer) open(ctx context.Context, in input) (io.ReadCloser, int64, error) {
	body, size, err := im.Inputs.OpenInput(ctx, in.bucket, in.key)
	var e *problem.Error
	if errors.As(err, &e) && (e.Code == problem.NotFound || e.Code == problem.Forbidden) {
		return nil, 0, problem.Wrap(err, problem.Invalid, "%s", e.Detail)
	}
	return body, size, err
}

// zip writes the inputs as one zip, by their paths below the folder that they share. The same objects give the same bytes,
// so that the scenario is stored once.
func (im *Importer) zip(ctx context.Context, inputs []input, w io.Writer) (err error) {
	defer problem.Contain(&err)
	archive := zip.NewWriter(w)
	root := sharedFolder(inputs)
	for _, in := range inputs {
		entry, err := archive.CreateHeader(&zip.FileHeader{Name: strings.TrimPrefix(in.key, root), Method: zip.Deflate})
		if err != nil {
			return err
		}
		if err := im.copy(ctx, in, entry); err != nil {
			return err
		}
	}
	return archive.Close()
}

func (im *Importer) copy(ctx context.Context, in input, w io.Writer) error {
	body, _, err := im.open(ctx, in)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return err
}

// sharedFolder is the longest folder, with its slash, that all keys begin with.
func sharedFolder(inputs []input) string {
	folder := inputs[0].key[:strings.LastIndex(inputs[0].key, "/")+1]
	for _, in := range inputs[1:] {
		for !strings.HasPrefix(in.key, folder) {
			folder = folder[:strings.LastIndex(strings.TrimSuffix(folder, "/"), "/")+1]
		}
	}
	return folder
}
