//go:build !amd64

package main

var oldForks []struct {
	name string
	trap uintptr
}
