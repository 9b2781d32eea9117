package submit

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
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// object is one s3:// input.
type object struct{ bucket, key string }

// fetch stores a scenario from S3: one zip, or the files of a scenario, which it zips on the way.
func (f *Function) fetch(ctx context.Context, t tenant.Tenant, urls []string) (scenario.Scenario, error) {
	objects := make([]object, len(urls))
	for i, raw := range urls {
		o, err := f.parseInput(t, raw)
		if err != nil {
			return scenario.Scenario{}, err
		}
		objects[i] = o
	}
	if len(objects) == 1 && strings.EqualFold(path.Ext(objects[0].key), ".zip") {
		body, size, err := f.openInput(ctx, objects[0])
		if err != nil {
			return scenario.Scenario{}, err
		}
		defer body.Close()
		if size > f.Intake.Limits.Upload {
			return scenario.Scenario{}, scenario.TooLarge(size, f.Intake.Limits)
		}
		s, _, err := f.Intake.Accept(ctx, t, body, scenario.About{Name: nameOf(objects[0].key)})
		return s, err
	}
	reader, writer := io.Pipe()
	defer reader.Close() // ends the goroutine below when Accept gives up early
	go func() { writer.CloseWithError(f.zipInputs(ctx, objects, writer)) }()
	s, _, err := f.Intake.Accept(ctx, t, reader, scenario.About{Name: nameOf(strings.TrimSuffix(sharedFolder(objects), "/"))})
	return s, err
}

func (f *Function) parseInput(t tenant.Tenant, raw string) (object, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(u.Path) < 2 || strings.HasSuffix(u.Path, "/") {
		return object{}, problem.New(problem.Invalid, "%.200q is not the address of an S3 object. It must read s3://bucket/key.", raw)
	}
	o := object{bucket: u.Host, key: u.Path[1:]}
	if fault := artifact.InputKeyFault(o.key); fault != "" {
		return object{}, problem.New(problem.Invalid, "The key in %.200q %s.", raw, fault)
	}
	if o.bucket == f.OwnBucket || !t.MayRead(o.bucket, o.key) {
		return object{}, problem.New(problem.Invalid, "This tenant may not read %.200q. An operator can open the bucket for it: PATCH /auth/tenants/{id} with input_buckets.", raw)
	}
	return o, nil
}

// openInput opens an input. That it is not there, or closed to us, is a fault in the request, not a missing resource of ours.
func (f *Function) openInput(ctx context.Context, o object) (io.ReadCloser, int64, error) {
	body, size, err := f.Inputs.OpenInput(ctx, o.bucket, o.key)
	var e *problem.Error
	if errors.As(err, &e) && (e.Code == problem.NotFound || e.Code == problem.Forbidden) {
		return nil, 0, problem.Wrap(err, problem.Invalid, "%s", e.Detail)
	}
	return body, size, err
}

// zipInputs writes the objects as one zip, by their paths below the folder that they share. The same objects give the
// same bytes, so that the scenario is stored once.
func (f *Function) zipInputs(ctx context.Context, objects []object, w io.Writer) error {
	archive := zip.NewWriter(w)
	root := sharedFolder(objects)
	for _, o := range objects {
		entry, err := archive.CreateHeader(&zip.FileHeader{Name: strings.TrimPrefix(o.key, root), Method: zip.Deflate})
		if err != nil {
			return err
		}
		if err := f.copyInput(ctx, o, entry); err != nil {
			return err
		}
	}
	return archive.Close()
}

func (f *Function) copyInput(ctx context.Context, o object, w io.Writer) error {
	body, _, err := f.openInput(ctx, o)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return err
}

// sharedFolder is the longest folder, with its slash, that all keys begin with.
func sharedFolder(objects []object) string {
	folder := objects[0].key[:strings.LastIndex(objects[0].key, "/")+1]
	for _, o := range objects[1:] {
		for !strings.HasPrefix(o.key, folder) {
			folder = folder[:strings.LastIndex(strings.TrimSuffix(folder, "/"), "/")+1]
		}
	}
	return folder
}
