package argo

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"k8s.io/client-go/rest"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/kube"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
)

func TestMain(m *testing.M) { localtest.Main(m) }

// apiServer is what the engine needs of an API server, with the failures that a real one cannot be made to have. The
// tests on the lab are against the real thing.
type apiServer struct {
	mu       sync.Mutex
	version  int
	objects  map[string]map[string]any // by namespace/name
	history  []map[string]any          // every event since firstVersion
	watchers map[chan map[string]any]bool
	calls    map[string]int // by method, or "WATCH", "LIST" and "PODS"
	pods     []any
	perPage  int             // of lists; 0 for all
	keeps    bool            // objects that are deleted, until they vanish
	failures map[string]int  // status by the same names, for the next call
	cut      map[string]bool // whether connections of such calls are cut
}

const firstVersion = 100

func newAPIServer(t testing.TB) (*apiServer, *kube.Client) {
	t.Helper()
	s := &apiServer{
		version: firstVersion, objects: map[string]map[string]any{}, watchers: map[chan map[string]any]bool{},
		calls: map[string]int{}, failures: map[string]int{}, cut: map[string]bool{},
	}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		s.hangUp()
		server.Close()
	})
	client, err := kube.NewClient(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return s, client
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	call := r.Method
	if r.URL.Path == "/apis/argoproj.io/v1alpha1/workflows" {
		call = "LIST"
		if r.URL.Query().Get("watch") != "" {
			call = "WATCH"
		}
	}
	if strings.HasSuffix(r.URL.Path, "/pods") {
		call = "PODS"
	}
	s.calls[call]++
	if code := s.failures[call]; code != 0 {
		delete(s.failures, call)
		s.mu.Unlock()
		refuse(w, code)
		return
	}
	if s.cut[call] {
		s.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	if call == "WATCH" {
		s.watch(w, r)
		return
	}
	defer s.mu.Unlock()
	switch call {
	case "LIST":
		s.list(w, r)
	case http.MethodPost:
		var object map[string]any
		if err := json.NewDecoder(r.Body).Decode(&object); err != nil {
			refuse(w, http.StatusBadRequest)
			return
		}
		meta := object["metadata"].(map[string]any)
		key := fmt.Sprint(meta["namespace"], "/", meta["name"])
		if s.objects[key] != nil {
			refuse(w, http.StatusConflict)
			return
		}
		meta["uid"], meta["creationTimestamp"] = fmt.Sprint("uid-", s.version), time.Now().UTC().Format(time.RFC3339)
		write(w, s.store("ADDED", key, object))
	case "PODS":
		write(w, map[string]any{"items": s.pods})
	default:
		parts := strings.Split(r.URL.Path, "/")
		key := parts[5] + "/" + parts[7]
		object := s.objects[key]
		switch {
		case object == nil:
			refuse(w, http.StatusNotFound)
		case r.Method == http.MethodGet:
			write(w, object)
		case r.Method == http.MethodPatch:
			var patch struct {
				Metadata struct {
					UID         string         `json:"uid"`
					Annotations map[string]any `json:"annotations"`
				} `json:"metadata"`
				Spec map[string]any `json:"spec"`
			}
			if err := json.NewDecoder(r.Body).Decode(&patch); err != nil {
				refuse(w, http.StatusBadRequest)
				return
			}
			meta := object["metadata"].(map[string]any)
			if patch.Metadata.UID != "" && patch.Metadata.UID != meta["uid"] {
				refuse(w, http.StatusConflict)
				return
			}
			maps.Copy(meta["annotations"].(map[string]any), patch.Metadata.Annotations)
			maps.Copy(object["spec"].(map[string]any), patch.Spec)
			write(w, s.store("MODIFIED", key, object))
		case r.Method == http.MethodDelete && s.keeps:
			object["metadata"].(map[string]any)["deletionTimestamp"] = time.Now().UTC().Format(time.RFC3339)
			write(w, s.store("MODIFIED", key, object))
		case r.Method == http.MethodDelete:
			s.store("DELETED", key, object)
			delete(s.objects, key)
			write(w, object)
		}
	}
}

// store gives the object its next version and notifies the watchers. The caller holds mu.
func (s *apiServer) store(event, key string, object map[string]any) map[string]any {
	s.version++
	object["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(s.version)
	s.objects[key] = object
	s.history = append(s.history, map[string]any{"type": event, "object": clone(object)})
	for c := range s.watchers {
		c <- s.history[len(s.history)-1]
	}
	return object
}

func clone(object map[string]any) map[string]any {
	text, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		panic(err)
	}
	return out
}

// set changes a workflow's status, as Argo does.
func (s *apiServer) set(t *testing.T, namespace, id, status string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	key := namespace + "/" + job.RunName(id)
	object := s.objects[key]
	if object == nil {
		t.Fatalf("there is no workflow %s", key)
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(status), &v); err != nil {
		t.Fatal(err)
	}
	object["status"] = v
	s.store("MODIFIED", key, object)
}

// age makes a workflow as old as this.
func (s *apiServer) age(namespace, id string, age time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := namespace + "/" + job.RunName(id)
	s.objects[key]["metadata"].(map[string]any)["creationTimestamp"] = time.Now().Add(-age).UTC().Format(time.RFC3339)
	s.store("MODIFIED", key, s.objects[key])
}

// vanish removes a workflow behind the engine's back.
func (s *apiServer) vanish(namespace, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := namespace + "/" + job.RunName(id)
	s.store("DELETED", key, s.objects[key])
	delete(s.objects, key)
}

func (s *apiServer) workflow(namespace, id string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	object := s.objects[namespace+"/"+job.RunName(id)]
	if object == nil {
		return nil
	}
	return clone(object)
}

// setPods replaces the pods by some in these phases.
func (s *apiServer) setPods(phases ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pods = nil
	for _, phase := range phases {
		s.pods = append(s.pods, map[string]any{"status": map[string]any{"phase": phase}})
	}
}

// setImage gives SUMO's container in each of the pods the image that the node has.
func (s *apiServer) setImage(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pod := range s.pods {
		pod.(map[string]any)["status"].(map[string]any)["containerStatuses"] = []any{
			map[string]any{"name": "keeper", "imageID": "registry.example/keeper@sha256:00"}, map[string]any{"name": "main", "imageID": id},
		}
	}
}

// called is how often a kind of call was made.
func (s *apiServer) called(call string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[call]
}

func (s *apiServer) fail(call string, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures[call] = code
}

// cutOff cuts the connections of such calls, or no longer.
func (s *apiServer) cutOff(call string, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut[call] = cut
}

// send sends an event to the watchers that is about no object.
func (s *apiServer) send(event map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.watchers {
		c <- event
	}
}

// hangUp ends all watches.
func (s *apiServer) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.watchers {
		close(c)
		delete(s.watchers, c)
	}
}

func (s *apiServer) list(w http.ResponseWriter, r *http.Request) {
	keys := slices.Sorted(maps.Keys(s.objects))
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	to := len(keys)
	meta := map[string]any{"resourceVersion": strconv.Itoa(s.version)}
	if s.perPage > 0 && from+s.perPage < to {
		to = from + s.perPage
		meta["continue"] = strconv.Itoa(to)
	}
	items := []any{}
	_, wanted, exact := strings.Cut(r.URL.Query().Get("labelSelector"), "),")
	name, value, _ := strings.Cut(wanted, "=")
	for _, key := range keys[from:to] {
		labels := s.objects[key]["metadata"].(map[string]any)["labels"].(map[string]any)
		if !exact || labels[name] == value {
			items = append(items, s.objects[key])
		}
	}
	write(w, map[string]any{"metadata": meta, "items": items})
}

// watch is called with mu held.
func (s *apiServer) watch(w http.ResponseWriter, r *http.Request) {
	from, err := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	if err != nil {
		s.mu.Unlock()
		refuse(w, http.StatusBadRequest)
		return
	}
	events := make(chan map[string]any, 1000)
	for _, event := range s.history[from-firstVersion:] {
		events <- event
	}
	s.watchers[events] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.watchers, events)
		s.mu.Unlock()
	}()
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case event, open := <-events:
			if !open {
				return
			}
			_ = json.NewEncoder(w).Encode(event)
			w.(http.Flusher).Flush()
		}
	}
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, code int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(status(code))
}

func status(code int) map[string]any {
	reason := map[int]string{409: "AlreadyExists", 404: "NotFound", 410: "Expired", 500: "InternalError"}[code]
	return map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code, "message": reason}
}

// bundle is an engine between a fake API server and a real object store.
type bundle struct {
	client *kube.Client
	*Engine
	api     *apiServer
	objects *s3.Store
}

func setup(t *testing.T) *bundle {
	t.Helper()
	api, client := newAPIServer(t)
	objects, err := s3.New(localtest.Bucket(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{}
	e, err := New(cfg, client, objects, time.Now, zerolog.New(zerolog.NewTestWriter(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return &bundle{Engine: e, api: api, client: client, objects: objects}
}
