package rest

import (
	"context"
	"errors"
	"io"
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

func TestAHandlerMayWorkLongerThanAClientMayStall(t *testing.T) {
	t.Parallel()
	const stall = 50 * time.Millisecond
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := &patientBody{ReadCloser: r.Body, control: http.NewResponseController(w), stall: stall}
		if _, err := io.Copy(io.Discard, body); err != nil {
			t.Error(err)
		}
		if err := stillThere(r.Context(), 4*stall); err != nil {
			t.Error(err)
		}
	}))
	defer s.Close()
	response, err := http.Post(s.URL, "text/plain", strings.NewReader(strings.Repeat("x", 1<<20)))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
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

func TestAStalledUploadIsGivenUp(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := &patientBody{ReadCloser: r.Body, control: http.NewResponseController(w), stall: 50 * time.Millisecond}
		_, err := io.Copy(io.Discard, body)
		ended <- err
	}))
	defer s.Close()
	reader, writer := io.Pipe()
	go func() {
		_, _ = io.WriteString(writer, "the beginning of something")
		if err := <-ended; err == nil {
			t.Error("the upload was taken for complete")
		}
		writer.Close()
	}()
	if response, err := http.Post(s.URL, "text/plain", reader); err == nil {
		response.Body.Close()
	}
}
