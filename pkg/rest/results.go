package rest

import (
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// StorageType is where results are, in the predecessor's words.
const StorageType = "s3"

// ResultFiles are a job's files in the form of the predecessor, whose clients fetch them from the bucket themselves.
type ResultFiles struct {
	StorageType string       `json:"storage_type" doc:"s3, unless the predecessor of this service ran the job and stored its results elsewhere."`
	Prefix      string       `json:"prefix" doc:"What the keys of all files begin with, in the bucket that result_location names." example:"results/sumo-acme/0198/"`
	Uploaded    bool         `json:"uploaded" doc:"True, since files are listed once they are stored; of the predecessor's jobs, as it recorded."`
	Files       []ResultFile `json:"files"`
}

// ResultFile is one file of a job in its bucket.
type ResultFile struct {
	Name   string `json:"name" doc:"Path below the job's results: the file's key is prefix and name, unless it has an offset."`
	Size   int64  `json:"size" doc:"Bytes."`
	URL    string `json:"url" doc:"Where the file is, for callers with rights on the bucket. GET /jobs/{id}/results has links that need none." example:"s3://sumo-k8/results/sumo-acme/0198/log.txt"`
	Offset int64  `json:"offset,omitempty" doc:"Byte at which the file begins in the object at url, an uncompressed zip in which a study's run keeps its small files. Absent for a file that is an object."`
	SHA256 string `json:"sha256,omitempty" doc:"Checksum in hexadecimal, where known."`

	Roles []simulation.Output `json:"roles,omitzero" nullable:"false" doc:"The outputs that the file has, whatever its name. Absent if the job finished before this was recorded."`
	Role  simulation.Output   `json:"role,omitempty" deprecated:"true" doc:"The first of roles, for clients that know only one."`
}

// Schema lets result_files be null, which huma can say of objects only this way.
func (ResultFiles) Schema(r huma.Registry) *huma.Schema {
	type fields ResultFiles // without this method
	s := huma.SchemaFromType(r, typeOf[fields]())
	s.Nullable = true
	return s
}

// resultFiles lists the files of a job. url returns the s3:// address of an object key.
func resultFiles(j job.Job, url func(key string) string) *ResultFiles {
	out := &ResultFiles{StorageType: StorageType, Prefix: j.ResultsKey, Uploaded: true, Files: make([]ResultFile, len(j.Results))}
	for i, f := range j.Results {
		key, offset, _ := j.Locate(f)
		out.Files[i] = ResultFile{Name: f.Name, Size: f.Size, URL: url(key), Offset: offset, SHA256: f.SHA256, Roles: f.Roles, Role: f.Role()}
	}
	return out
}

// importedFiles lists files of a job that the predecessor ran, as it recorded them; nil if it recorded neither them nor a place.
func importedFiles(i job.Imported) *ResultFiles {
	if i.Location == "" && len(i.Files) == 0 {
		return nil
	}
	out := &ResultFiles{StorageType: i.StorageType, Prefix: i.Prefix, Uploaded: i.Uploaded, Files: make([]ResultFile, len(i.Files))}
	if out.StorageType == "" && strings.HasPrefix(i.Location, "s3://") {
		out.StorageType = StorageType
	}
	for n, f := range i.Files {
		out.Files[n] = ResultFile{Name: f.Name, Size: f.Size, URL: f.URL}
	}
	return out
}
