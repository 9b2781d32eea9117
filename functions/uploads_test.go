package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// slowUpload is an upload that begins fast and continues slowly, but not too slowly, until the test ends.
type slowUpload struct{ net.Conn }

const formBoundary = "a-boundary"

// slowBodies are the bodies of scenarios by path, up to where the zip begins.
var slowBodies = []struct{ path, contentType, beginning string }{
	{"/jobs", "multipart/form-data; boundary=" + formBoundary, "--" + formBoundary + "\r\nContent-Disposition: form-data; " +
		"name=\"scenario_id\"\r\n\r\nslow\r\n" +
		"--" + formBoundary + "\r\nContent-Disposition: form-data; name=\"sumo_files\"; filename=\"slow.zip\"\r\n\r\n"},
	{"/scenarios", "application/zip", ""},
	{"/scenarios/validate", "application/zip", ""},
}

func (c client) uploadSlowly(t *testing.T, submit string, kind int, headers ...string) slowUpload {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(submit, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	body := slowBodies[kind%len(slowBodies)]
	go func() { // a failure here shows in the answer
		lines := append([]string{
			"POST " + body.path + " HTTP/1.1", "Host: x", "Authorization: " + c.key["Authorization"], "Content-Type: " + body.contentType,
			fmt.Sprintf("Content-Length: %d", 1<<30),
		}, headers...)
		_, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"+body.beginning)
		if err == nil {
			_, err = conn.Write(bytes.Repeat([]byte("x"), 12<<20)) // two parts of S3 and the beginning of a third
		}
		for err == nil {
			time.Sleep(100 * time.Millisecond)
			_, err = conn.Write(bytes.Repeat([]byte("x"), 4<<10))
		}
	}()
	return slowUpload{conn}
}

// admitted waits until the service reads the body of an upload that asked with "Expect: 100-continue" whether it does.
func (s slowUpload) admitted(t *testing.T) {
	t.Helper()
	const begins = "HTTP/1.1 100 Continue\r\n\r\n"
	if err := s.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(begins))
	if n, err := io.ReadFull(s, got); string(got) != begins {
		t.Fatalf("an upload is answered %q, %v", got[:n], err)
	}
}

// answer waits for the answer for at most this long.
func (s slowUpload) answer(t *testing.T, patience time.Duration) (response *http.Response, detail string, err error) {
	t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	response, err = http.ReadResponse(bufio.NewReader(s), nil)
	if err != nil {
		return nil, "", err
	}
	var problem struct{ Detail string }
	content, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(content, &problem)
	}
	return response, problem.Detail, err
}

// One tenant's slow uploads delay neither another tenant nor its own other calls: an upload holds no connection to Postgres,
// no lock and no slot of the instance while its body arrives.
func TestSlowUploadsOfOneTenantDelayNoOtherCall(t *testing.T) {
	t.Parallel()
	// soon is ample for a call on a busy machine, and short against the uploads, which do not end.
	const soon = time.Minute
	d := deploy(t)
	auth := d.start(t, "auth")
	submit := d.start(t, "submit", "DATABASE_CONNECTIONS=2")
	slow, other := newTenant(t, auth, "slow"), newTenant(t, auth, "other")

	var underWay []slowUpload
	for i := range 4 {
		underWay = append(underWay, slow.uploadSlowly(t, submit, i, "Expect: 100-continue"))
	}
	for _, upload := range underWay {
		upload.admitted(t)
	}
	for i := range 6 {
		response, detail, err := slow.uploadSlowly(t, submit, i).answer(t, soon)
		if err != nil || response.StatusCode != http.StatusTooManyRequests || response.Header.Get("Retry-After") != "5" ||
			!strings.Contains(detail, "4 uploads under way") {
			t.Errorf("one more is answered %+v with %q, %v", response, detail, err)
		}
	}
	worst := time.Duration(0)
	timed := func(what string, call func()) {
		start := time.Now()
		call()
		took := time.Since(start)
		if worst = max(worst, took); took > soon {
			t.Errorf("%s takes %s", what, took)
		}
	}
	for range 5 {
		var id string
		timed("another tenant's submission", func() { id = other.submit(t, submit, "square") })
		timed("another tenant's cancelling", func() {
			if code := send(t, "DELETE", submit+"/jobs/"+id, nil, other.key, nil); code != http.StatusOK {
				t.Errorf("cancelling is answered %d", code)
			}
		})
		timed("the tenant's own call", func() {
			if code := send(t, "DELETE", submit+"/jobs/"+id, nil, slow.key, nil); code != http.StatusNotFound {
				t.Errorf("cancelling another's job is answered %d", code)
			}
		})
	}
	t.Logf("the slowest call took %s", worst)
	for i, upload := range underWay {
		if response, detail, err := upload.answer(t, time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("upload %d has not lasted: %+v with %q, %v", i, response, detail, err)
		}
		upload.Close()
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		code := send(t, "POST", submit+"/scenarios/validate", strings.NewReader("no zip"), slow.key, nil)
		if code == http.StatusOK {
			break
		}
		if code != http.StatusTooManyRequests || time.Now().After(deadline) {
			t.Fatalf("after the uploads' end another is answered %d", code)
		}
	}
}
