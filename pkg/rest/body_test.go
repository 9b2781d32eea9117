package rest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/rs/zerolog"
)

func TestABodyThatCannotBeReadIsTheClientsFault(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	Register(NewAPI(mux, Keys{}), Public, huma.Operation{OperationID: "x", Method: http.MethodPost, Path: "/x"},
		func(context.Context, *struct{ Body struct{ Name string } }) (*struct{}, error) { return nil, nil })
	s := httptest.NewServer(Handler(mux, nil, zerolog.Nop()))
	t.Cleanup(s.Close)
	for name, rest := range map[string]string{
		"a chunk that is none": "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
		"a body cut short":     "Content-Length: 100\r\n\r\n{",
	} {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n%s", rest)
		_ = conn.(*net.TCPConn).CloseWrite() // a failure shows in the answer
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") || !strings.Contains(string(answer), "broke off") {
			t.Errorf("%s: answered %q, %v, want 400", name, answer, err)
		}
	}
}
