package main

import (
	"math"
	"net/http"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// testStudyDetails has what runs count for a study beyond their summaries: edges, and metrics by class of vehicle.
func testStudyDetails(t *testing.T, s *service) {
	c := s.register(t)
	square := c.store(t, zipOf(t, "square")).ID
	made := c.ask(t, square, `"run": {"outputs": ["edgedata"]}, "axes": [{"name": "demand", "set": "scale", "values": [0.5, 1]}],
		"baseline": {"values": {"demand": 0.5}}, "replications": {"seeds": "1:4"},
		"metrics": ["mean_time_loss", "mean_time_loss@vClass=passenger", "vehicles_finished@vClass=bus"]`)
	if ended := c.answered(t, made.StudyID); ended.Status != study.Succeeded {
		t.Fatalf("the study ended %+v", ended.StudySummary)
	}
	var numbers rest.StudyStatistics
	c.call(t, "GET", "/studies/"+made.StudyID+"/statistics").want(t, http.StatusOK).into(t, &numbers)
	if len(numbers.Statistics) != 6 {
		t.Fatalf("%d estimates, of %+v", len(numbers.Statistics), numbers.Metrics)
	}
	for p := range 2 {
		all, cars, buses := numbers.Statistics[3*p], numbers.Statistics[3*p+1], numbers.Statistics[3*p+2]
		if cars.Metric != "mean_time_loss@vClass=passenger" || cars.N != 4 || math.Abs(*cars.Mean-*all.Mean) > 0.005 {
			t.Errorf("point %d: %+v of all vehicles, %+v of those of the only class", p, all, cars)
		}
		if buses.N != 4 || *buses.Mean != 0 {
			t.Errorf("point %d: buses %+v", p, buses)
		}
	}
	var edges rest.StudyEdges
	c.call(t, "GET", "/studies/"+made.StudyID+"/edgedata?point=1&against=0&attribute=entered").want(t, http.StatusOK).into(t, &edges)
	if edges.N != 4 || *edges.AgainstN != 4 || edges.Unit != "veh" || len(edges.Edges) == 0 || len(edges.Notes) != 0 {
		t.Fatalf("edges %+v", edges)
	}
	api, err := client.New(c.url, client.Options{APIKey: c.key})
	if err != nil {
		t.Fatal(err)
	}
	against := 0
	read, err := api.StudyEdges(t.Context(), made.StudyID, client.EdgeQuestion{Point: 1, Against: &against, Attribute: "entered"})
	if err != nil || read.N != edges.N || len(read.Edges) != len(edges.Edges) || *read.Edges[0].Difference != *edges.Edges[0].Difference {
		t.Errorf("the client reads %+v, %v", read, err)
	}
	for _, e := range edges.Edges {
		if e.N != 4 || e.Mean == nil || e.Difference == nil || e.ToldApart == nil {
			t.Errorf("edge %+v", e)
		}
	}
}
