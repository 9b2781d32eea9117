package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// ScanNet scans the network that a configuration of c names. It answers problem.NotFound when c does not lead to one.
func ScanNet(ctx context.Context, c Content, limits Limits, config string, visit func(xml.Element) error) error {
	a, names, err := filesSet(ctx, c, limits, config, "net-file")
	if err != nil {
		return err
	}
	return a.open(ctx, names[0], func(r io.Reader) error { return xml.Scan(r, visit) })
}

// ScanAdditional scans the additional files that a configuration of c names, in their order, but for those that c does not have.
func ScanAdditional(ctx context.Context, c Content, limits Limits, config string, visit func(xml.Element) error) error {
	a, names, err := filesSet(ctx, c, limits, config, "additional-files")
	if err != nil {
		return err
	}
	for _, name := range names {
		err := a.open(ctx, name, func(r io.Reader) error { return xml.Scan(r, visit) })
		if err != nil && problem.CodeOf(err) != problem.NotFound {
			return err
		}
	}
	return nil
}

// filesSet opens c, and returns the files that a configuration sets an option to: at least one, of an empty name if it does not.
func filesSet(ctx context.Context, c Content, limits Limits, config, name string) (a *archive, files []string, err error) {
	var rep report
	if a, err = openArchive(ctx, c, limits, &rep); err == nil {
		err = rep.err()
	}
	if err != nil {
		return nil, nil, err
	}
	files = []string{""}
	err = a.open(ctx, config, func(r io.Reader) error {
		plain, err := gz.Unpack(r)
		if err != nil {
			return err
		}
		budget := budget{left: memoryBudget}
		doc, err := readDocument(plain, true, nil, &budget)
		if err != nil {
			return err
		}
		for _, s := range doc.settings {
			o := options()[s.name]
			if o == nil || o.name != name {
				continue
			}
			files = files[:0]
			for _, n := range o.names(path.Dir(config), s.value, readXML) {
				found, _ := a.directory().find(n.name)
				files = append(files, found)
			}
		}
		return nil
	})
	return a, files, err
}

// open passes one unpacked file to use.
func (a *archive) open(ctx context.Context, name string, use func(io.Reader) error) error {
	for _, e := range a.files {
		if e.name != name {
			continue
		}
		err := a.one(ctx, e, func(_ string, r *entryReader) error { return use(r) })
		failed := a.failed()
		switch {
		case err == nil, ctx.Err() != nil:
			return err
		case failed != nil:
			return failed
		case errors.As(err, new(*visitError)):
			err = errors.Unwrap(err)
		}
		return fmt.Errorf("reading %s of the scenario: %w", name, err)
	}
	return problem.New(problem.NotFound, "The scenario has no file %s. Submit it again, as a new job.", quote(name))
}
