// Package templates holds what Argo Workflows reads: the WorkflowTemplate of a SUMO run. Package argo fills it in.
package templates

import _ "embed"

// SUMO is the WorkflowTemplate of a run, as a text/template with the delimiters [[ and ]].
//
//go:embed sumo.yaml
var SUMO string
