package rest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/rs/zerolog"
)

// stillThere waits until well after a deadline would have passed, and reports whether the request was given up.
func stillThere(ctx context.Context, after time.Duration) error {
	select {
	case <-ctx.Done():
		return errors.New("the request was cancelled while its handler worked")
	case <-time.After(after):
		return nil
	}
}

func TestAHandlerMayWorkLongerThanItsBodyMayTake(t *testing.T) {
	t.Parallel()
	const limit = 50 * time.Millisecond
	mux := http.NewServeMux()
	type request struct{ Body struct{ Name string } }
	Register(NewAPI(mux, Keys{}), Public, huma.Operation{OperationID: "work", Method: http.MethodPost, Path: "/work", BodyReadTimeout: limit},
		func(ctx context.Context, _ *request) (*struct{}, error) { return nil, stillThere(ctx, 4*limit) })
	s := httptest.NewServer(Handler(mux, nil, zerolog.Nop()))
	defer s.Close()
	response, err := http.Post(s.URL+"/work", "application/json", strings.NewReader(`{"Name": "x"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		t.Errorf("answered %s", response.Status)
	}
}
