// Package ext is where a build of Traefik may add settings of its own to its configuration. Traefik's own is empty too, but
// not published as the module that Traefik asks for.
package ext

// HTTP would be added to the configuration of HTTP.
type HTTP struct{}

// Router would be added to each router.
type Router struct{}
