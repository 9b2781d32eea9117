// Package stepfunctions answers the state machines of AWS Step Functions that wait for jobs, by their task tokens.
package stepfunctions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/delivery"
	"github.com/sumo-k8/sumo-k8/pkg/job"
)

const (
	// attemptLimit is how long one call may take, with the look-up of credentials.
	attemptLimit = 10 * time.Second
	// maxOutput and maxCause are Step Functions' own limits: the first in bytes, the second in characters of an unnamed kind. As many
	// bytes are never too many.
	maxOutput = 262_144
	maxCause  = 32_768

	// jobFailed is the error that the predecessor's state machines catch.
	jobFailed = "SUMOK8JobFailed"
)

// Config is what a Client needs to know.
type Config struct {
	Region   string
	Endpoint string // base URL of the API; empty for AWS's in Region
	// Results puts the files of a job into the form of result_location and result_files; nil without files.
	Results func(namespace, jobID string, files []job.ResultFile) (location *string, list any)
	// Log gets what deliveries do not say to tenants: the names of our roles and of what they may not do.
	Log zerolog.Logger
}

// Client is a delivery.Tasks.
type Client struct {
	cfg   Config
	limit time.Duration

	mu  sync.Mutex
	api *sfn.Client
}

var _ delivery.Tasks = (*Client)(nil)

// New makes a Client. It does no I/O: the SDK's chain is asked for credentials at the first call.
func New(cfg Config) *Client { return &Client{cfg: cfg, limit: attemptLimit} }

func (c *Client) connect(ctx context.Context) (*sfn.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.api != nil {
		return c.api, nil
	}
	loaded, err := config.LoadDefaultConfig(ctx, config.WithRegion(c.cfg.Region))
	if err != nil {
		return nil, err
	}
	c.api = sfn.NewFromConfig(loaded, func(o *sfn.Options) {
		o.Retryer = aws.NopRetryer{} // the outbox repeats
		if c.cfg.Endpoint != "" {
			o.BaseEndpoint = &c.cfg.Endpoint
		}
	})
	return c.api, nil
}

// End implements delivery.Tasks.
func (c *Client) End(ctx context.Context, d delivery.Delivery) delivery.Attempt {
	j := d.Event.Job
	if j.State != job.Succeeded {
		cause := cut(job.ErrorText(j.Reason, j.Message), maxCause)
		return c.call(ctx, func(ctx context.Context, api *sfn.Client) error {
			_, err := api.SendTaskFailure(ctx, &sfn.SendTaskFailureInput{
				TaskToken: &d.Task.Token, Error: aws.String(jobFailed), Cause: &cause,
			})
			return err
		})
	}
	output, err := c.output(j.ID, *d.Task)
	if err != nil {
		c.cfg.Log.Error().Err(err).Str("delivery", d.ID).Msg("the output of a task cannot be written as JSON")
		return delivery.Attempt{Error: "The output could not be written as JSON.", Final: true}
	}
	return c.call(ctx, func(ctx context.Context, api *sfn.Client) error {
		_, err := api.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: &d.Task.Token, Output: &output})
		return err
	})
}

// Heartbeat implements delivery.Tasks.
func (c *Client) Heartbeat(ctx context.Context, token string) delivery.Attempt {
	return c.call(ctx, func(ctx context.Context, api *sfn.Client) error {
		_, err := api.SendTaskHeartbeat(ctx, &sfn.SendTaskHeartbeatInput{TaskToken: &token})
		return err
	})
}

// output is that of a task whose job has succeeded, as the predecessor wrote it.
type output struct {
	JobID          string    `json:"job_id"`
	Status         job.State `json:"status"`
	ResultLocation *string   `json:"result_location"`
	ResultFiles    any       `json:"result_files"`
	// Omitted counts the files that result_files leaves out because Step Functions takes no more; all are at result_location.
	Omitted int `json:"result_files_omitted,omitempty"`
}

func (c *Client) output(jobID string, t delivery.Task) (string, error) {
	write := func(omitted int) ([]byte, error) {
		o := output{JobID: jobID, Status: job.Succeeded, Omitted: omitted}
		o.ResultLocation, o.ResultFiles = c.cfg.Results(t.Namespace, jobID, t.Results[:len(t.Results)-omitted])
		return json.Marshal(o)
	}
	omitted := sort.Search(len(t.Results), func(n int) bool {
		written, err := write(n)
		return err != nil || len(written) <= maxOutput
	})
	written, err := write(omitted)
	return string(written), err
}

// cut shortens s to a number of bytes, between two characters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// errSlow is the cause of a context that ends with its attempt's time.
var errSlow = errors.New("the attempt has taken too long")

// call makes one attempt.
func (c *Client) call(ctx context.Context, send func(context.Context, *sfn.Client) error) delivery.Attempt {
	ctx, stop := context.WithTimeoutCause(ctx, c.limit, errSlow)
	defer stop()
	api, err := c.connect(ctx)
	if err == nil {
		err = send(ctx, api)
	}
	if err == nil {
		return delivery.Attempt{Status: http.StatusOK}
	}
	a := c.failed(context.Cause(ctx), err)
	if !a.Final {
		c.cfg.Log.Warn().Err(err).Msg("a call of Step Functions failed")
	}
	return a
}

// final are the errors that are about the token or the output, so that they would be the same another time.
var final = map[string]string{
	"TaskDoesNotExist":    notWaiting,
	"TaskTimedOut":        notWaiting,
	"InvalidToken":        "Step Functions does not know the task token (InvalidToken).",
	"InvalidOutput":       "Step Functions refuses the output (InvalidOutput).",
	"ValidationException": "Step Functions refuses the task token or what is sent for it (ValidationException).",
}

// notWaiting includes an answer of ours whose confirmation was lost.
const notWaiting = "No state machine waits for this task token: it has its answer, has timed out, or was stopped."

// failed says what an error means. Its sentences are for tenants, whom Step Functions' own would show the names of our roles.
func (c *Client) failed(cause, err error) delivery.Attempt {
	a := delivery.Attempt{Down: true}
	if answer := (*smithyhttp.ResponseError)(nil); errors.As(err, &answer) {
		a.Status = answer.HTTPStatusCode()
	}
	var refusal smithy.APIError
	switch {
	case errors.Is(cause, errSlow):
		a.Error = fmt.Sprintf("Step Functions did not answer within %s.", c.limit)
	case cause != nil:
		return delivery.Attempt{Error: "The attempt was interrupted."}
	case !errors.As(err, &refusal):
		a.Error = "Step Functions cannot be reached, or this service has no credentials for it; its operator can see more in the log."
	case final[refusal.ErrorCode()] != "":
		a.Error, a.Final, a.Down = final[refusal.ErrorCode()], true, false
	case strings.HasPrefix(refusal.ErrorCode(), "Kms"): // the key of one state machine
		a.Error, a.Down = fmt.Sprintf("Step Functions cannot use the state machine's key (%s).", refusal.ErrorCode()), false
	case retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err).Bool() || a.Status >= 500:
		a.Error = fmt.Sprintf("Step Functions is busy or in trouble (%s).", refusal.ErrorCode())
	default:
		a.Error = fmt.Sprintf("Step Functions refuses the call (%s). The operator of this service must let it call states:SendTaskSuccess, "+
			"states:SendTaskFailure and states:SendTaskHeartbeat.", refusal.ErrorCode())
	}
	return a
}
