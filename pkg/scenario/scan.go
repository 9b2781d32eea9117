package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// ScanNet scans the network that a configuration of c names. It answers problem.NotFound when c does not lead to one.
func ScanNet(ctx context.Context, c Content, limits Limits, config string, visit func(xml.Element) error) error {
	var rep report
	a, err := openArchive(ctx, c, limits, &rep)
	if err != nil {
		return err
	}
	if err := rep.err(); err != nil {
		return err
	}
	var net string
	err = a.open(ctx, config, func(r io.Reader) error {
		plain, err := xml.Unpack(r)
		if err != nil {
			return err
		}
		budget := budget{left: memoryBudget}
		doc, err := readDocument(plain, true, nil, &budget)
		if err != nil {
			return err
		}
		for _, s := range doc.settings {
			if o := options()[s.name]; o != nil && o.name == "net-file" {
				net, _ = a.directory().find(o.names(path.Dir(config), s.value, readXML)[0].name)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return a.open(ctx, net, func(r io.Reader) error { return xml.Scan(r, visit) })
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
