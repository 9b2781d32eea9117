package submit

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// counted counts what is read of a body.
type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

func TestAPartsHeaderIsReadNoFurtherThanItsBudget(t *testing.T) {
	t.Parallel()
	body := &counted{
		Reader: strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"" + strings.Repeat("n", 9<<20) + "\"\r\n\r\nv\r\n--x--\r\n"),
	}
	r := httptest.NewRequest("POST", "/jobs", body)
	r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	_, err := formOf(t).read(r, func(part, *jobFields) error { return nil })
	if problem.CodeOf(err) != problem.Invalid || !strings.Contains(err.Error(), "header") {
		t.Errorf("the error is %v", err)
	}
	if body.n > maxPartHeader {
		t.Errorf("%d bytes were read", body.n)
	}
}
