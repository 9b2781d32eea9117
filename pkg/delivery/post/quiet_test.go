package post

import (
	"io"
	"log"
)

// quiet takes what net/http's servers say of clients that break connections, as these tests make ours do.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
