package app

import (
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/delivery/post"
	"github.com/sumo-k8/sumo-k8/pkg/delivery/stepfunctions"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

// callbacks are the ways in which jobs report to others.
func (p Parts) callbacks() job.Callbacks {
	c := p.Config.Callbacks()
	c.Permits = p.wall().Permits
	return c
}

func (p Parts) wall() *post.Wall {
	hosts, networks, err := p.Config.WebhookReceivers()
	if err != nil { // config.Load refuses such a configuration
		return post.NewWall(nil, nil)
	}
	return post.NewWall(hosts, networks)
}

// poster sends events to webhooks; nil where they are disabled.
func (p Parts) poster() delivery.Poster {
	cfg := p.Config
	if !cfg.Webhooks {
		return nil
	}
	listed, _ := cfg.TokenReceivers() // config.Load refuses a configuration with an error
	return post.New(post.Config{
		Plain: cfg.WebhookHTTP, Wall: p.wall(), Token: cfg.WebhookToken, TokenReceivers: listed, Now: time.Now, Log: p.Log,
	})
}

// tasks answers task tokens; nil where that is disabled.
func (p Parts) tasks() delivery.Tasks {
	cfg := p.Config
	if cfg.TaskRegion == "" {
		return nil
	}
	return stepfunctions.New(stepfunctions.Config{
		Region: cfg.TaskRegion, Endpoint: cfg.TaskEndpoint, Log: p.Log,
		Results: func(namespace, jobID string, files []job.ResultFile) (location *string, list any) {
			as := rest.JobOf(job.Job{
				ID: jobID, ResultsKey: artifact.ResultsOf(namespace, jobID), State: job.Succeeded, Results: files,
			}, p.Objects.URL)
			return as.ResultLocation, as.ResultFiles
		},
	})
}
