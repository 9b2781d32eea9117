# Generated from functions/internal/app/openapi.json by `make generate`; do not edit.
"""The documents of the HTTP API, as the service sends and takes them.

Every class is a dict of JSON: job["status"]. Times are texts in RFC 3339.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from typing_extensions import NotRequired


class Activity(TypedDict):
    db_jobs: dict[str, int]
    """Jobs of all tenants by status."""
    k8s_jobs: K8sJobs
    """Runs known to the engine."""
    nodes: int
    pods: dict[str, int]
    """Pods that run jobs, by phase."""
    timestamp: str


class AdminJobConfinement(TypedDict):
    """What confined SUMO to the run's folder. Null until the job has finished, or if SUMO never started."""
    filter: bool
    """A system call filter (seccomp) was in force."""
    landlock: int
    """ABI version of the kernel's Landlock that confined SUMO to its files; 0 if Landlock was not used."""
    namespace: bool
    """A mount namespace confined SUMO to its files."""
    user: bool
    """SUMO ran as a user of its own, shared with no other process."""


class AdminJobK8sStatus(TypedDict):
    """The run in the words of a Kubernetes Job; null until there is one."""
    active: int
    failed: int
    succeeded: int


class AdminJobResultFiles(TypedDict):
    files: list[ResultFile]
    prefix: str
    """What the keys of all files begin with, in the bucket that result_location names."""
    storage_type: str
    """s3, unless the predecessor of this service ran the job and stored its results elsewhere."""
    uploaded: bool
    """True, since files are listed once they are stored; of the predecessor's jobs, as it recorded."""


class AdminJob(TypedDict):
    attempt: int
    """How often the job was started; more than 1 when a run was lost and repeated."""
    cached_from: str | None
    """The job whose results these are, if they were taken from the cache; otherwise null. It may have been deleted
    since.
    """
    cancel_requested: bool
    config_file: str
    """The configuration that runs."""
    confinement: AdminJobConfinement | None
    """What confined SUMO to the run's folder. Null until the job has finished, or if SUMO never started."""
    cpu_request: int
    """Cores."""
    error: str | None
    """Null, or one readable sentence saying why the job did not succeed."""
    finished_at: str | None
    imported: bool
    """True if the predecessor of this service ran the job: its scenario, log and results are not here."""
    job_id: str
    k8s_job_name: str
    """Name of the workflow or process that runs the job."""
    k8s_namespace: str
    """Same as namespace."""
    k8s_status: AdminJobK8sStatus | None
    """The run in the words of a Kubernetes Job; null until there is one."""
    kept_scenario: NotRequired[str]
    """Id of the stored scenario that the tool's result has become (options.tool.keep_as), if it was accepted; otherwise
    a warning says why not. It may have been deleted since.
    """
    labels: dict[str, str]
    """As given at submission."""
    memory_gi: int
    """GiB."""
    message: str
    """A remark on the current state, for people."""
    namespace: str
    occupies_slot: bool
    """Whether the job counts towards max_concurrent_jobs at present."""
    options: Options
    """What was chosen for the run. Anything absent is left to the scenario."""
    point: int | None
    """The study's point; null for jobs of no study."""
    priority: Literal["low", "normal", "high"]
    problems: list[Item]
    """What SUMO says about the scenario, if the job only checks it (options.check)."""
    progress: float
    reason: str
    """Machine-readable reason why the job did not succeed; empty otherwise."""
    replication: int | None
    """The place of the seed among those of the study; null for jobs of no study."""
    result_files: AdminJobResultFiles | None
    result_location: str | None
    """Where the results are, once the job has finished."""
    scenario: str
    """Id of the scenario. Empty if imported."""
    scenario_data: ScenarioData
    scenario_id: str
    """The name given at submission."""
    seed: int | None
    """Seed of SUMO's random number generator in every attempt: the one asked for, the configuration's, or one drawn for
    a configuration with random; null means SUMO's default, 23423.
    """
    setting: dict[str, Any] | None
    """The value of each axis at the point, where variant is given; otherwise null."""
    started_at: str | None
    status: Literal["QUEUED", "PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
    study_id: str | None
    """The study that the job is a run of; null for other jobs."""
    submitted_at: str
    sumo_version: str
    """The SUMO version that ran; empty until the job has finished. options.sumo_version is the one to run."""
    superseded: NotRequired[bool]
    """Whether this run of a study failed and was ordered again, so that it counts no longer."""
    task_token: NotRequired[str]
    """As given at submission."""
    tenant_id: str
    timeout_seconds: int
    """Wall-clock seconds that the run may take."""
    variant: str | None
    """Name of the point's variant. GET /jobs and GET /jobs/{id} have it; null elsewhere, and for jobs of no study."""
    warnings: list[str]
    """What to know about the scenario and the run: what SUMO drops or ignores, what was replaced, changed defaults."""


class Aim(TypedDict):
    absolute: NotRequired[dict[str, float]]
    """Half widths in a metric's own unit, by the metric, in place of the relative one."""
    confidence: NotRequired[float]
    """0.95 if left out."""
    max: int
    """Most runs of each point. One that has not reached the aim by then says so."""
    min: NotRequired[int]
    """Runs of each point before the first look; 5 if left out."""
    of: NotRequired[Literal["mean", "difference"]]
    """What the interval is of: each point's mean, the default, or its difference to the baseline."""
    relative_half_width: NotRequired[float]
    """Half width of the confidence interval, as a share of the mean; of a difference, as a share of the baseline's
    mean. It holds for each of the study's metrics (mean_travel_time and mean_time_loss if it names none) but counts
    such as teleports, of whose means near zero a share is no aim.
    """


class AllJobsAnswerBody(TypedDict):
    jobs: list[AdminJob]
    next_cursor: str
    """Empty on the last page."""
    total: int
    """How many there are in total."""


class Attribute(TypedDict):
    element: str
    equals: NotRequired[str]
    file: str
    key: NotRequired[str]
    name: str
    value: str


class Axis(TypedDict):
    name: str
    set: str
    """What the values are given to: scale, begin, end, step_length, sumo_version, config_file or unfinished_trips;
    option:NAME for an option of SUMO; arg:NAME for the option --NAME of the controller;
    xml:FILE#ELEMENT[@KEY='VALUE']/@ATTRIBUTE for an attribute of all matching elements in a file of the scenario.
    """
    values: list[Any]
    """Numbers, texts or truth values."""


class Baseline(TypedDict):
    values: NotRequired[dict[str, Any]]
    """Values of axes, by the axis."""
    variant: NotRequired[str]


class BeginRequestBody(TypedDict):
    name: NotRequired[str]
    """A display name."""
    sha256: NotRequired[str]
    """SHA-256 of the zip, if known: a zip that is already stored need not be sent, and one that arrives damaged is
    refused.
    """
    size: int
    """Size of the zip in bytes."""


class CancelWarmupAnswerBody(TypedDict):
    status: Literal["cancelled"]
    warmup_id: str


class ChangeWebhookRequestBody(TypedDict):
    enabled: NotRequired[bool]
    """By default true."""
    events: NotRequired[list[Literal["job.queued", "job.running", "job.finished", "job.progress", "study.finished"]]]
    """What to report. By default everything but job.progress, which is sent up to once a second."""
    format: NotRequired[Literal["standard", "cloudevents"]]
    """standard: {type, timestamp, data}. cloudevents: a structured CloudEvent 1.0. By default standard."""
    labels: NotRequired[dict[str, str]]
    """Report only jobs that have all of these labels."""
    studies: NotRequired[bool]
    """Report a study's runs too; by default they are not. study.finished does not need it."""
    url: NotRequired[str]
    """An https URL; http only where the operator allows it."""


class ClusterAnswerBody(TypedDict):
    nodes: list[Node]
    total_nodes: int


class Column(TypedDict):
    description: str
    name: str
    type: Literal["float64", "int64", "string", "boolean"]
    unit: str
    """Such as s, m or m/s; empty for what has none."""


class ComparedChoice(TypedDict):
    job_id: str
    value: str | None
    """Null if left to the scenario's configuration."""


class ComparedJob(TypedDict):
    job_id: str
    message: NotRequired[str]
    """Why the job has no numbers, or only those of a partial run."""
    partial: bool
    """True if the run stopped early, so that its numbers cover only part of it."""
    scenario_id: str
    """The name given at submission."""
    status: str


class ComparedMetric(TypedDict):
    name: str
    unit: str
    """Unit of the values and differences: s, m, m/s, veh, mg, Wh, 1/s, or 1 for counts and ratios."""
    values: list[ComparedValue]
    """One per job, in the order of jobs."""


class ComparedSetting(TypedDict):
    name: str
    """The field's name at submission; scenario is its id."""
    values: list[ComparedChoice]
    """One per job, in the order of jobs."""


class ComparedValue(TypedDict):
    difference: float | None
    """value minus the first job's; null if either is null."""
    job_id: str
    relative_difference: float | None
    """difference as a fraction of the first job's value, 0.1 for a tenth more; also null if that value is 0."""
    value: float | None
    """Null if the job does not have this metric."""


class Comparison(TypedDict):
    jobs: list[ComparedJob]
    """In the order requested."""
    metrics: list[ComparedMetric]
    """Every metric that at least one of the jobs has."""
    notes: list[str]
    """What makes the comparison doubtful, such as different versions of SUMO."""
    settings: list[ComparedSetting]
    """Settings that differ; empty if only chance and the machine can explain differences."""


class Confinement(TypedDict):
    filter: bool
    landlock: int
    namespace: bool
    user: bool


class Controller(TypedDict):
    args: NotRequired[list[str]]
    """What the program is called with. {seed} stands for the run's seed, {out} for the folder out beside the program,
    and {config} for the scenario's configuration; other braces stay.
    """
    file: str
    """The program's path inside the scenario."""
    interface: NotRequired[Literal["traci", "libsumo"]]
    """How the program speaks to SUMO: traci starts it as a process of its own, libsumo runs it in the program's."""


class CountedFlow(TypedDict):
    begin: float
    """Seconds of simulated time."""
    counted: float
    """Vehicles per hour."""
    end: float
    """Seconds of simulated time."""
    geh: float | None
    """Null if modelled is."""
    kind: Literal["detector", "edge"]
    line: int
    """Of the file."""
    message: NotRequired[str]
    modelled: float | None
    """Vehicles per hour; null if message says why there is no value."""
    places: list[str]
    """Ids of the detectors or edges that count together."""


class Counts(TypedDict):
    bias: float | None
    """Mean of the run's flow less the counted one, in vehicles per hour."""
    compared: int
    """How many of them the run has values for."""
    counts: int
    """How many were sent."""
    geh_below_5: int
    """How many of those compared have a GEH below 5."""
    job_id: str
    notes: list[str]
    """What makes the comparison doubtful, such as ignored columns."""
    rmse: float | None
    """Root mean square of the differences, in vehicles per hour."""
    rows: list[CountedFlow]
    """In the order of the file."""
    share_below_5: float | None
    """The same as a share of those compared. Null without any, as the next two. More than 0.85 is usually asked for
    (DMRB 12.2.1, table 4.2).
    """


class CreateStudyBody(TypedDict):
    axes: NotRequired[list[Axis]]
    """Swept settings. Without any, each variant is one point."""
    baseline: NotRequired[Baseline]
    """What points are compared with. An axis that it does not name is matched."""
    cache: NotRequired[Literal["use", "refresh", "off"]]
    """use, the default: a run takes the results of the tenant's latest run that is the same and whose results are still
    there. refresh: all run anew, and later runs take their results. off: all run anew, and no other run takes their
    results.
    """
    combine: NotRequired[Literal["product", "zip"]]
    """product, the default: every value of one axis with every value of the others. zip: the first values together, the
    second together, and so on.
    """
    dry_run: NotRequired[bool]
    """Only says what the study would be."""
    max_parallel: NotRequired[int]
    """The most runs at work at a time; as many as the tenant's limits allow if left out."""
    metrics: NotRequired[list[str]]
    """Those that the study is about, by their names in the summary of a job; all of them if left out. Those of trips
    also by class of vehicle: mean_time_loss@vClass=bus, mean_travel_time@vType=truck.
    """
    name: str
    """Your name for the study."""
    on_failure: NotRequired[OnFailure]
    """By default a study goes on, however many runs fail."""
    replications: Replications
    """The seeds of each point, the same ones at all points."""
    run: NotRequired[StudyRun]
    """Fields of a submission, for every run."""
    variants: list[Variant]


class CreateWebhookRequestBody(TypedDict):
    enabled: NotRequired[bool]
    """By default true."""
    events: NotRequired[list[Literal["job.queued", "job.running", "job.finished", "job.progress", "study.finished"]]]
    """What to report. By default everything but job.progress, which is sent up to once a second."""
    format: NotRequired[Literal["standard", "cloudevents"]]
    """standard: {type, timestamp, data}. cloudevents: a structured CloudEvent 1.0. By default standard."""
    labels: NotRequired[dict[str, str]]
    """Report only jobs that have all of these labels."""
    studies: NotRequired[bool]
    """Report a study's runs too; by default they are not. study.finished does not need it."""
    url: str
    """An https URL; http only where the operator allows it."""


class Curve(TypedDict):
    label: str
    max: float | None
    """Greatest of all steps."""
    min: float | None
    """Least of all steps, whatever the points show; null when there is none."""
    name: str
    unit: str
    values: list[float | None]
    """One for each point of time; null where there is none, such as a mean speed without vehicles."""


class Dashboard(TypedDict):
    controllers: bool
    """Whether the tenant's jobs may run programs of their scenarios (controller) and tools of SUMO's (tool)."""
    current_usage: Usage
    notes: list[str]
    """What the tenant should know, such as that its default version of SUMO is no longer offered."""
    plan_limits: Limits
    recent_jobs: list[RecentJob]
    """The newest 20, newest first."""
    running_pods: int
    stats: Stats
    """All of the tenant's jobs by status."""
    tenant_id: str


class DeleteAnswerBody(TypedDict):
    status: Literal["deleted"]
    tenant_id: str


class DeleteScenarioAnswerBody(TypedDict):
    id: str
    status: Literal["deleted"]


class DeleteUploadAnswerBody(TypedDict):
    status: Literal["deleted"]
    upload_id: str


class DeleteWebhookAnswerBody(TypedDict):
    status: Literal["deleted"]
    webhook_id: str


class DeliveriesPageBody(TypedDict):
    deliveries: list[Delivery]
    next_cursor: str
    """Empty on the last page."""


class Delivery(TypedDict):
    attempted_at: str | None
    """When the last attempt ended; null before the first."""
    attempts: int
    """Made so far."""
    created_at: str
    delivery_id: str
    error: str
    """What was wrong with the last attempt; empty if nothing was."""
    event: Literal["job.queued", "job.running", "job.finished", "job.progress", "study.finished"]
    job_id: str
    """Empty if the event is about a study."""
    message_id: str
    """The header webhook-id of every attempt; empty for the answer to a task token."""
    next_attempt_at: str | None
    """Null unless WAITING. A receiver in trouble may delay it."""
    response_status: int
    """HTTP status of the last attempt's answer; 0 if there was none."""
    state: Literal["WAITING", "PAUSED", "DELIVERED", "GIVEN_UP"]
    """WAITING for the next attempt, PAUSED while its webhook is disabled, DELIVERED when the receiver has answered 2xx,
    GIVEN_UP after the last attempt.
    """
    study_id: NotRequired[str]
    """Absent if the event is about a job."""
    url: str
    """That of the webhook."""
    webhook_id: str | None
    """Null for the answer to a task token."""


class DeliveryWithMessage(TypedDict):
    attempted_at: str | None
    """When the last attempt ended; null before the first."""
    attempts: int
    """Made so far."""
    created_at: str
    delivery_id: str
    error: str
    """What was wrong with the last attempt; empty if nothing was."""
    event: Literal["job.queued", "job.running", "job.finished", "job.progress", "study.finished"]
    job_id: str
    """Empty if the event is about a study."""
    message: WebhookMessage
    """The body in the standard format. The answer to a task token is made of it."""
    message_id: str
    """The header webhook-id of every attempt; empty for the answer to a task token."""
    next_attempt_at: str | None
    """Null unless WAITING. A receiver in trouble may delay it."""
    response_status: int
    """HTTP status of the last attempt's answer; 0 if there was none."""
    state: Literal["WAITING", "PAUSED", "DELIVERED", "GIVEN_UP"]
    """WAITING for the next attempt, PAUSED while its webhook is disabled, DELIVERED when the receiver has answered 2xx,
    GIVEN_UP after the last attempt.
    """
    study_id: NotRequired[str]
    """Absent if the event is about a job."""
    url: str
    """That of the webhook."""
    webhook_id: str | None
    """Null for the answer to a task token."""


class Demand(TypedDict):
    first_departure: float | None
    """Seconds of simulated time; null when the files give no time."""
    flows: int
    """Vehicle flows (<flow>); each generates many vehicles."""
    last_departure: float | None
    """Seconds of simulated time: the last departure, or the end of the last flow."""
    person_flows: int
    """Flows of persons (<personFlow>)."""
    persons: int
    """Single persons (<person>)."""
    vehicles: int
    """Single vehicles (<vehicle> and <trip>)."""


class Derived(TypedDict):
    added: list[str]
    """Files that the base does not have."""
    added_size: int
    """Bytes stored for it, besides the base's zip."""
    base: str
    """Id of the uploaded scenario that it was derived from, in one step or several. It may have been deleted."""
    changed: list[str]
    """Files that are other ones than in the base."""
    deleted: list[str]
    """Files of the base that it does not have."""
    differences: int
    """How many files these are. Lists of scenarios name the first 10 of each kind."""


class DirectUpload(TypedDict):
    expires_at: NotRequired[str]
    """When url stops accepting new requests. A transfer under way may finish."""
    method: NotRequired[Literal["PUT"]]
    scenario: NotRequired[str]
    """Id of the scenario, once stored."""
    status: Literal["waiting", "stored"]
    """waiting: PUT the zip to url, then complete the upload. stored: the scenario exists already, so nothing needs to
    be sent.
    """
    upload_id: NotRequired[str]
    url: NotRequired[str]
    """Accepts the zip without a key. Send no Authorization header; Content-Length must equal the announced size."""


class Distribution(TypedDict):
    count: int
    """Trips."""
    counts: list[int]
    """Trips in each bin; a bin holds its lower edge, and not its upper one."""
    edges: list[float | None]
    """Where the bins begin, and the last one ends: multiples of one width out of 1, 5, 10, 50, 100 …, so that the
    bins of another run fit in or around these.
    """
    label: str
    max: float | None
    mean: float | None
    min: float | None
    """Null without trips, as the next five."""
    name: str
    p50: float | None
    """The median: half of the trips have at most this (nearest rank)."""
    p90: float | None
    p95: float | None
    unit: str


class Distributions(TypedDict):
    complete: bool
    """False when the run stopped early, so that trips are missing."""
    distributions: list[Distribution]
    job_id: str
    unfinished: int
    """How many of the trips were still under way at the end. They count with what they had done by then."""


class Edge(TypedDict):
    id: str
    lanes: int
    length: float
    name: NotRequired[str]
    """Of the street, where the network has it."""
    priority: int
    shape: list[float]
    """Points x0, y0, x1, y1, … of its middle, in the direction of travel: the middle lane, or the line between the
    two middle lanes.
    """
    speed: float
    """Allowed on the fastest lane, m/s."""


class EdgeData(TypedDict):
    complete: bool
    """False when the run stopped early."""
    edges: list[str]
    """Ids of all edges on which a vehicle was seen."""
    intervals: list[list[float]]
    """Begin and end, in seconds of simulated time."""
    job_id: str
    measures: list[Measure]
    merged: int
    """How many of SUMO's intervals one of these stands for: it doubles until the answer is of bearable size."""


class EdgeInterval(TypedDict):
    begin: float
    """Seconds of simulated time."""
    end: float


Event = TypedDict("Event", {
    "at": "str",
    "from": "str",
    "message": "str",
    "reason": "str",
    "seq": "int",
    "to": "str",
})


class EventsAnswerBody(TypedDict):
    events: list[Event]
    """Oldest first."""
    job_id: str


class Extension(TypedDict):
    max_parallel: NotRequired[int]
    on_failure: NotRequired[OnFailure]
    replications: NotRequired[Replications]
    values: NotRequired[dict[str, list[Any]]]
    """Further values of axes, by the axis. Those that are there already stay as they are."""
    variants: NotRequired[list[Variant]]
    """Further variants. One that is there already, with the same scenario and run, stays as it is."""


class Failure(TypedDict):
    count: int
    reason: str


class File(TypedDict):
    path: str
    size: int


class Geometry(TypedDict):
    bounds: list[float]
    """Least x, least y, greatest x, greatest y."""
    edges: list[Edge]
    """Roads in one direction each, in the order of the file, without those inside junctions."""
    junctions: list[Junction]
    polygons: list[Polygon]
    """From the scenario's additional files, lower layers first; the first 100,000 of them with 500,000 points."""
    stop_lines: list[StopLine]
    """Of the links that signals control."""
    unit: Literal["m"]
    """Of all coordinates and lengths, in the plane of the network file."""


class HealthReportConfinement(TypedDict):
    """What confines SUMO to its run's folder: on a single machine what that machine offers, on a cluster the weakest
    confinement of the last day's runs. Null if unknown.
    """
    filter: bool
    """A system call filter (seccomp) was in force."""
    landlock: int
    """ABI version of the kernel's Landlock that confined SUMO to its files; 0 if Landlock was not used."""
    namespace: bool
    """A mount namespace confined SUMO to its files."""
    user: bool
    """SUMO ran as a user of its own, shared with no other process."""


class HealthReport(TypedDict):
    confinement: HealthReportConfinement | None
    """What confines SUMO to its run's folder: on a single machine what that machine offers, on a cluster the weakest
    confinement of the last day's runs. Null if unknown.
    """
    db_available: bool
    disk: NotRequired[str]
    """What is wrong with the disk, where the service runs on a single machine; absent if nothing is."""
    k8s_available: bool
    """False where the service runs on a single machine; that is not a fault."""
    status: Literal["healthy", "unhealthy", "ready", "not_ready"]
    storage_available: bool
    timestamp: str


class ImportJobsAnswerBody(TypedDict):
    jobs: list[JobImport]
    """In the order of the request."""


class ImportJobsRequestBody(TypedDict):
    dry_run: NotRequired[bool]
    """Change nothing, and say what would happen once the tenants are imported."""
    jobs: list[ImportedJob]


class ImportTenantsAnswerBody(TypedDict):
    tenants: list[TenantImport]
    """In the order of the request."""


class ImportTenantsRequestBody(TypedDict):
    dry_run: NotRequired[bool]
    """Change nothing, and say what would happen."""
    tenants: list[ImportedTenant]


class ImportedFile(TypedDict):
    name: str
    size: NotRequired[int]
    url: NotRequired[str]


class ImportedJob(TypedDict):
    config_file: NotRequired[str]
    cpu_request: int
    error: NotRequired[str]
    files: NotRequired[list[ImportedFile]]
    finished_at: NotRequired[str]
    job_id: str
    memory_gi: int
    prefix: NotRequired[str]
    premium_sim: NotRequired[bool]
    result_location: NotRequired[str]
    scenario_id: NotRequired[str]
    started_at: NotRequired[str]
    status: str
    storage_type: NotRequired[str]
    submitted_at: str
    tenant_id: str
    uploaded: NotRequired[bool]


class ImportedTenant(TypedDict):
    api_key_hint: NotRequired[str]
    """The first characters of the key, to distinguish keys in listings."""
    api_key_sha256: NotRequired[str]
    """SHA-256 of the API key, in hexadecimal; absent for none."""
    created_at: NotRequired[str]
    """Absent if not known."""
    max_concurrent_jobs: NotRequired[int]
    """Absent if not known."""
    max_cpu: NotRequired[int]
    """Absent if not known."""
    max_memory_gi: NotRequired[int]
    """Absent if not known."""
    tenant_id: str


class Incident(TypedDict):
    edge: NotRequired[str]
    kind: str
    """teleport, collision, emergency_braking, emergency_stop or dropped; there may be more."""
    lane: NotRequired[str]
    text: str
    """SUMO's own line in the log."""
    time: float
    """Simulated time, in seconds."""
    vehicle: NotRequired[str]
    x: float | None
    """Where the vehicle was, in m; null where that is not known."""
    y: float | None
    """Where the vehicle was, in m; null where that is not known."""


class Item(TypedDict):
    location: NotRequired[str]
    message: str
    value: NotRequired[Any]


class JobConfinement(TypedDict):
    """What confined SUMO to the run's folder. Null until the job has finished, or if SUMO never started."""
    filter: bool
    """A system call filter (seccomp) was in force."""
    landlock: int
    """ABI version of the kernel's Landlock that confined SUMO to its files; 0 if Landlock was not used."""
    namespace: bool
    """A mount namespace confined SUMO to its files."""
    user: bool
    """SUMO ran as a user of its own, shared with no other process."""


class JobResultFiles(TypedDict):
    files: list[ResultFile]
    prefix: str
    """What the keys of all files begin with, in the bucket that result_location names."""
    storage_type: str
    """s3, unless the predecessor of this service ran the job and stored its results elsewhere."""
    uploaded: bool
    """True, since files are listed once they are stored; of the predecessor's jobs, as it recorded."""


class Job(TypedDict):
    attempt: int
    """How often the job was started; more than 1 when a run was lost and repeated."""
    cached_from: str | None
    """The job whose results these are, if they were taken from the cache; otherwise null. It may have been deleted
    since.
    """
    cancel_requested: bool
    config_file: str
    """The configuration that runs."""
    confinement: JobConfinement | None
    """What confined SUMO to the run's folder. Null until the job has finished, or if SUMO never started."""
    cpu_request: int
    """Cores."""
    error: str | None
    """Null, or one readable sentence saying why the job did not succeed."""
    finished_at: str | None
    imported: bool
    """True if the predecessor of this service ran the job: its scenario, log and results are not here."""
    job_id: str
    kept_scenario: NotRequired[str]
    """Id of the stored scenario that the tool's result has become (options.tool.keep_as), if it was accepted; otherwise
    a warning says why not. It may have been deleted since.
    """
    labels: dict[str, str]
    """As given at submission."""
    memory_gi: int
    """GiB."""
    message: str
    """A remark on the current state, for people."""
    options: Options
    """What was chosen for the run. Anything absent is left to the scenario."""
    point: int | None
    """The study's point; null for jobs of no study."""
    priority: Literal["low", "normal", "high"]
    problems: list[Item]
    """What SUMO says about the scenario, if the job only checks it (options.check)."""
    progress: float
    reason: str
    """Machine-readable reason why the job did not succeed; empty otherwise."""
    replication: int | None
    """The place of the seed among those of the study; null for jobs of no study."""
    result_files: JobResultFiles | None
    result_location: str | None
    """Where the results are, once the job has finished."""
    scenario: str
    """Id of the scenario. Empty if imported."""
    scenario_id: str
    """The name given at submission."""
    seed: int | None
    """Seed of SUMO's random number generator in every attempt: the one asked for, the configuration's, or one drawn for
    a configuration with random; null means SUMO's default, 23423.
    """
    setting: dict[str, Any] | None
    """The value of each axis at the point, where variant is given; otherwise null."""
    started_at: str | None
    status: Literal["QUEUED", "PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
    study_id: str | None
    """The study that the job is a run of; null for other jobs."""
    submitted_at: str
    sumo_version: str
    """The SUMO version that ran; empty until the job has finished. options.sumo_version is the one to run."""
    superseded: NotRequired[bool]
    """Whether this run of a study failed and was ordered again, so that it counts no longer."""
    task_token: NotRequired[str]
    """As given at submission."""
    tenant_id: str
    timeout_seconds: int
    """Wall-clock seconds that the run may take."""
    variant: str | None
    """Name of the point's variant. GET /jobs and GET /jobs/{id} have it; null elsewhere, and for jobs of no study."""
    warnings: list[str]
    """What to know about the scenario and the run: what SUMO drops or ignores, what was replaced, changed defaults."""


class JobImport(TypedDict):
    job_id: str
    notes: list[str]
    """What was changed about it."""
    outcome: Literal["new", "present", "refused"]
    reason: str
    """Why it was refused; empty otherwise."""


class JobsPageBody(TypedDict):
    jobs: list[Job]
    next_cursor: str
    """Empty on the last page."""


class Junction(TypedDict):
    id: str
    shape: NotRequired[list[float]]
    """Outline of its area, points x0, y0, x1, y1, …; absent where it has none, as at most dead ends."""
    type: str
    """SUMO's, such as priority, traffic_light or dead_end."""
    x: float
    y: float


class K8sJobs(TypedDict):
    active: int
    succeeded: int
    total: int


class LimitChange(TypedDict):
    controllers: NotRequired[bool]
    """Whether the tenant's jobs may run programs of their scenarios (controller) and tools of SUMO's (tool); false by
    default.
    """
    default_sumo_version: NotRequired[str]
    """SUMO version of jobs that name none, one on offer; empty for the newest, which an upgrade of the service may
    change.
    """
    input_buckets: NotRequired[list[str]]
    """Where s3:// inputs may come from, each written bucket or bucket/prefix/."""
    max_concurrent_jobs: NotRequired[int]
    """Jobs that may run at a time; 2 by default."""
    max_cpu: NotRequired[int]
    """Cores; 32 by default."""
    max_memory_gi: NotRequired[int]
    """GiB; 128 by default."""


class Limits(TypedDict):
    max_concurrent_jobs: int
    max_cpu: int
    max_memory_gi: int


class ListAnswerBody(TypedDict):
    tenants: list[Tenant]


class Manifest(TypedDict):
    cached_from: NotRequired[str]
    """The job that ran, if the results were taken from the cache."""
    confinement: NotRequired[Confinement]
    """What confined SUMO to the run's folder; absent if it never started."""
    cpu_request: int
    """Cores."""
    files: list[ManifestFile]
    """The results with their checksums, also after they were removed because of their age."""
    finished_at: str | None
    format: int
    """1; another number is another form."""
    job_id: str
    memory_gi: int
    """GiB."""
    options: Options
    """All that was chosen for the run, by the caller or the service. What is absent is the scenario's choice."""
    scenario: ManifestScenario
    scenario_id: str
    """The name given at submission."""
    seed: int
    """Seed of SUMO's random number generator."""
    service_version: str
    """Version of the service that wrote the manifest."""
    started_at: str | None
    status: Literal["SUCCEEDED", "FAILED", "CANCELLED"]
    """How the job ended. Unless it succeeded, files end early."""
    study_id: NotRequired[str]
    """The study that the job is a run of; absent for other jobs."""
    sumo: ManifestSUMO
    timeout_seconds: int


class ManifestDerivation(TypedDict):
    added: NotRequired[list[str]]
    base: str
    """Id of the uploaded scenario that it was derived from."""
    changed: NotRequired[list[str]]
    """Paths of files."""
    deleted: NotRequired[list[str]]


class ManifestFile(TypedDict):
    content_sha256: NotRequired[str]
    """Checksum of what equal runs have in common: the file uncompressed (.gz) and, of XML, without what stands before
    the root element (SUMO's header with date and paths), without elements performance, and without the attribute
    duration of the summary's steps. Absent if the file has none.
    """
    name: str
    roles: NotRequired[list[str]]
    """The outputs that the file has, whatever its name."""
    sha256: NotRequired[str]
    """Checksum of the file."""
    size: int
    """Bytes."""
    varies: NotRequired[str]
    """Why the file differs between equal runs, so that it is not compared; absent if it is compared."""


class ManifestSUMO(TypedDict):
    build: str
    """As SUMO names itself; empty if it never started."""
    image: NotRequired[str]
    """The container image that it ran in: the reference that the operator has configured, and the digest that the
    cluster reports. Without a digest if the image came from no registry. Absent outside containers.
    """
    version: str
    """As jobs name it (sumo_version)."""


class ManifestScenario(TypedDict):
    derived: NotRequired[ManifestDerivation]
    """How it differs from its base; absent if it was uploaded."""
    id: str
    """SHA-256 of the scenario: see GET /scenarios/{id}."""


class Measure(TypedDict):
    label: str
    name: str
    unit: str
    values: list[list[float | None]]
    """For each interval one value for each edge; null when no vehicle was there."""


class Metric(TypedDict):
    name: str
    unit: str
    value: float


class MetricEstimate(TypedDict):
    constant: bool
    """All of several runs gave the same number: the seed changes nothing that this metric sees."""
    half_width: float | None
    high: float | None
    low: float | None
    """Lower end of the confidence interval of the mean; null below two runs."""
    max: float | None
    mean: float | None
    median: float | None
    metric: str
    min: float | None
    n: int
    """Runs that count."""
    needed: int | None
    """Runs that the aim takes, if the spread stays what it is; 1000000 stands for that or more. Null below two runs, or
    without an aim for this metric.
    """
    point: int
    q1: float | None
    q3: float | None
    relative_half_width: float | None
    """Of the mean; null where that is 0."""
    sd: float | None
    """Standard deviation; null below two runs."""
    standard_error: float | None


class Minute(TypedDict):
    at: str
    """When it begins."""
    cancelled: int
    failed: int
    finished: int
    """Sum of succeeded, failed and cancelled."""
    started: int
    submitted: int
    succeeded: int


class Network(TypedDict):
    edge_length_km: float
    """Length of the edges: a road with traffic in both directions counts twice, however many lanes it has."""
    edges: int
    """Roads in one direction each; those inside junctions, crossings and walking areas are not counted."""
    junctions: int
    """Junctions and dead ends."""
    lane_length_km: float
    """Length of the lanes: an edge with three lanes counts three times."""
    lanes: int
    """Lanes of these edges."""
    traffic_lights: int
    """Signal controllers; one may control several junctions."""


class NewWebhook(TypedDict):
    created_at: str
    enabled: bool
    """Nothing is recorded for a disabled webhook, and what was waiting is paused."""
    events: list[Literal["job.queued", "job.running", "job.finished", "job.progress", "study.finished"]]
    """Of a run of less than a second job.running may be left out."""
    format: Literal["standard", "cloudevents"]
    """Form of the body: {type, timestamp, data}, or a structured CloudEvent 1.0."""
    labels: dict[str, str]
    """Only jobs that have all of these labels are reported; empty for every job."""
    old_secrets_until: str | None
    """When the last replaced secret stops signing; null if only the current one signs."""
    remark: str
    """Why the service disabled the webhook; empty otherwise."""
    secret: NotRequired[str]
    """Verifies messages, as Standard Webhooks libraries take it. Shown only now; absent if an Idempotency-Key had
    already created this webhook.
    """
    studies: bool
    """Whether a study's runs are reported too."""
    updated_at: str
    url: str
    """Where events are POSTed."""
    webhook_id: str


class Node(TypedDict):
    allocatable: dict[str, str]
    capacity: dict[str, str]
    """cpu and memory, as Kubernetes quantities."""
    created: str | None
    name: str
    pods_running: int
    status: list[str]
    """The node's conditions that hold; look for Ready."""


class OnFailure(TypedDict):
    stop_share: float
    """When more than this share of the runs has failed, no further run starts, those at work are stopped, and the study
    is FAILED.
    """


class Options(TypedDict):
    accepted_version: NotRequired[str]
    attributes: NotRequired[list[Attribute]]
    begin: NotRequired[float]
    check: NotRequired[bool]
    config_file: NotRequired[str]
    controller: NotRequired[Controller]
    end: NotRequired[float]
    metrics: NotRequired[list[str]]
    outputs: NotRequired[list[str]]
    replay: NotRequired[Replay]
    scale: NotRequired[float]
    seed: NotRequired[int]
    step_length: NotRequired[float]
    strict: NotRequired[bool]
    sumo_options: NotRequired[dict[str, str]]
    sumo_version: NotRequired[str]
    tables: NotRequired[list[str]]
    tool: NotRequired[Tool]
    unfinished_trips: NotRequired[bool]


class Plan(TypedDict):
    axes: NotRequired[list[Axis]]
    """Swept settings. Without any, each variant is one point."""
    baseline: NotRequired[Baseline]
    """What points are compared with. An axis that it does not name is matched."""
    cache: NotRequired[Literal["use", "refresh", "off"]]
    """use, the default: a run takes the results of the tenant's latest run that is the same and whose results are still
    there. refresh: all run anew, and later runs take their results. off: all run anew, and no other run takes their
    results.
    """
    combine: NotRequired[Literal["product", "zip"]]
    """product, the default: every value of one axis with every value of the others. zip: the first values together, the
    second together, and so on.
    """
    metrics: NotRequired[list[str]]
    """Those that the study is about, by their names in the summary of a job; all of them if left out. Those of trips
    also by class of vehicle: mean_time_loss@vClass=bus, mean_travel_time@vType=truck.
    """
    on_failure: NotRequired[OnFailure]
    """By default a study goes on, however many runs fail."""
    replications: Replications
    """The seeds of each point, the same ones at all points."""
    run: NotRequired[StudyRun]
    """Fields of a submission, for every run."""
    variants: list[Variant]


class PlotLink(TypedDict):
    name: Literal["vehicles", "speed", "travel_time", "time_loss", "waiting_time", "emissions", "convergence"]
    png: str
    """Path relative to the service's address."""
    svg: str
    """Path relative to the service's address."""
    title: str


class Plots(TypedDict):
    job_id: str
    plots: list[PlotLink]


class PointComparison(TypedDict):
    baseline: int
    """The point that it is compared with."""
    baseline_mean: float | None
    better: bool | None
    """Whether traffic is better off; null where the verdict is neither lower nor higher, neither way is good, or the
    side that looks better leaves out vehicles that had not arrived, or has many teleports.
    """
    df: float | None
    """Degrees of freedom."""
    difference: float | None
    """From the baseline: negative is lower."""
    high: float | None
    low: float | None
    """Lower end of the confidence interval of this difference alone."""
    mean: float | None
    """Of the point's own runs."""
    method: Literal["paired", "welch", "exact", "none"]
    """paired: by seed. welch: seeds do not pair. exact: all pairs differ by the same number, so there is no test. none:
    too few runs.
    """
    metric: str
    n: int
    """Pairs; of Welch's test the runs of the smaller side."""
    p: float | None
    """Two-sided; null without a test."""
    p_adjusted: float | None
    """By Holm's method, over all comparisons of the study."""
    point: int
    relative: float | None
    """The difference as a share of the baseline's mean; null where that is 0."""
    sd: float | None
    """Of the differences of pairs."""
    sentence: str
    """The same with both points named, for a report."""
    t: float | None
    unit: str
    verdict: Literal["lower", "higher", "by_itself", "not_told_apart", "constant", "unknown"]
    """lower, higher: told apart from chance among all comparisons. by_itself: told apart alone, not among all
    comparisons. constant: every pair differs by the same number.
    """
    words: str
    """The verdict for a person."""


class PointFate(TypedDict):
    incomplete: bool
    """Whether runs are missing. They are not missing at random: those in congestion fail first, so that means over the
    rest look better than they are.
    """
    label: str
    """Variant and values, for people."""
    missing: int
    """Runs that have ended without a result: failed or cancelled."""
    open: int
    """Runs that have not ended, or never began in a study that was stopped."""
    point: int
    reasons: dict[str, int]
    """Of the missing runs, how many ended for which reason."""
    setting: dict[str, Any] | None
    succeeded: int
    """Runs that count."""
    sumo_versions: list[str]
    """That made the results."""
    teleports: float | None
    """Mean over the runs that count: vehicles that SUMO moved past a jam."""
    unfinished_trips: float | None
    """Mean over the runs that count: vehicles that had not arrived at the end, which no mean of finished trips counts.
    """
    variant: str


class PointRuns(TypedDict):
    active: int
    """Handed over, and not ended: those that are running, and those that wait for their turn. Runs are handed over in
    groups of up to 200, of which a few run at a time.
    """
    cached: int
    """How many of the succeeded runs have results that were taken from the cache; in the answer to a submission or a
    dry run, how many will. Lists of studies say 0.
    """
    cancelled: int
    done: int
    """Ended, in whatever way."""
    failed: int
    running: int
    """Those of active that are being simulated now: at most max_parallel."""
    succeeded: int


class Polygon(TypedDict):
    color: str
    fill: bool
    """False for a line."""
    id: str
    layer: float
    """Higher ones are drawn above lower ones."""
    shape: list[float]
    """Points x0, y0, x1, y1, …"""
    type: NotRequired[str]
    """The scenario's own, such as building.school."""


class Problem(TypedDict):
    code: str
    """Machine-readable kind of failure. A code never changes its meaning."""
    detail: str
    """What happened and what to do about it."""
    errors: NotRequired[list[Item]]
    """Every fault found in the request."""
    instance: NotRequired[str]
    """The request's path."""
    status: int
    """The HTTP status."""
    title: str
    """The HTTP status in words."""
    type: str
    """Where the documentation explains this code."""


class Queue(TypedDict):
    oldest_wait_seconds: float
    """How long the oldest of them has waited; 0 if none is queued."""
    queued: int
    """Queued jobs of all tenants."""
    tenants: list[TenantQueue]
    """Tenants with queued or running jobs or studies, the longest waiting first."""


class RecentJob(TypedDict):
    finished_at: str | None
    job_id: str
    progress: float
    scenario_id: str
    status: str
    submitted_at: str


class Recording(TypedDict):
    attempt: str
    """Part of the segments' addresses. It changes when segments that were read before no longer count: when the run
    starts again, when its controller begins another simulation, and when small segments have been merged at its end.
    Empty until the run has begun.
    """
    begin: float
    """Simulated time of the first frame, in seconds."""
    bounds: list[float] | None
    """The least x and y and the greatest x and y of all positions, in m; null if there are none."""
    complete: bool
    """Nothing more will come."""
    end: float
    """Simulated time of the last frame, in seconds."""
    events: list[Incident]
    """All of them, at most 10,000, in the order of time."""
    job_id: str
    missing: list[str]
    """What the recording lacks, and why."""
    period: float
    """Simulated time between two frames, in seconds."""
    segments: list[Segment]
    signals: list[str]
    """Ids of the traffic lights that have states in the recording."""
    source: Literal["recording", "fcd"]
    """What it was made from: recording is the run itself, fcd its fcd output."""
    types: dict[str, VehicleType]
    """How vehicles are drawn, by their types. Complete when the recording is."""


class RegenerateRequestBody(TypedDict):
    tenant_id: str


class RegisterRequestBody(TypedDict):
    controllers: NotRequired[bool]
    """Whether the tenant's jobs may run programs of their scenarios (controller) and tools of SUMO's (tool); false by
    default.
    """
    default_sumo_version: NotRequired[str]
    """SUMO version of jobs that name none, one on offer; empty for the newest, which an upgrade of the service may
    change.
    """
    input_buckets: NotRequired[list[str]]
    """Where s3:// inputs may come from, each written bucket or bucket/prefix/."""
    max_concurrent_jobs: NotRequired[int]
    """Jobs that may run at a time; 2 by default."""
    max_cpu: NotRequired[int]
    """Cores; 32 by default."""
    max_memory_gi: NotRequired[int]
    """GiB; 128 by default."""
    tenant_id: str
    """Letters, digits, spaces, '.', '_', '@' or '-'."""


Replay = TypedDict("Replay", {
    "box": "NotRequired[list[float]]",
    "edges": "NotRequired[list[str]]",
    "from": "NotRequired[float]",
    "period": "NotRequired[float]",
    "to": "NotRequired[float]",
})


class Replications(TypedDict):
    seeds: NotRequired[Any]
    """A range such as "1:10", or a list of numbers."""
    until: NotRequired[Aim]
    """As many as an aim takes, in rounds: each gives every point the same next seeds, as many as the point with the
    largest need asks, at most doubling.
    """


class Report(TypedDict):
    active: int
    changed: int
    deliveries: Sent
    dispatched: int
    forgotten: int
    interrupted: bool
    passes: int
    provisioned: int
    pruned_deliveries: int
    pruned_keys: int
    pruned_objects: int
    pruned_results: int
    pruned_studies: int
    pruned_uploads: int
    restarted: int
    skipped: bool
    stopped: int
    unprovisioned: int


class ResultFile(TypedDict):
    name: str
    """Path below the job's results: the file's key is prefix and name, unless it has an offset."""
    offset: NotRequired[int]
    """Byte at which the file begins in the object at url, an uncompressed zip in which a study's run keeps its small
    files. Absent for a file that is an object.
    """
    role: NotRequired[str]
    """The first of roles, for clients that know only one."""
    roles: NotRequired[list[str]]
    """The outputs that the file has, whatever its name. Absent if the job finished before this was recorded."""
    sha256: NotRequired[str]
    """Checksum in hexadecimal, where known."""
    size: int
    """Bytes."""
    url: str
    """Where the file is, for callers with rights on the bucket. GET /jobs/{id}/results has links that need none."""


class ResultLink(TypedDict):
    content_type: str
    expires_at: NotRequired[str]
    """When url stops working. Absent if the job is imported."""
    name: str
    """Path within the job's results."""
    offset: NotRequired[int]
    """Byte at which the file begins in the object at storage, an uncompressed zip in which a study's run keeps its
    small files. Absent for a file that is an object.
    """
    role: NotRequired[str]
    """The first of roles, for clients that know only one."""
    roles: NotRequired[list[str]]
    """The outputs that the file has, whatever its name. Absent if the job finished before this was recorded."""
    sha256: NotRequired[str]
    """Checksum of the file in hexadecimal, where known."""
    size: int
    """Bytes."""
    storage: str
    """Where the file is, for callers with rights on the bucket."""
    url: str
    """Downloads the file; needs no key. Of an imported job, as the predecessor recorded it."""


class ResultsResultFiles(TypedDict):
    files: list[ResultFile]
    prefix: str
    """What the keys of all files begin with, in the bucket that result_location names."""
    storage_type: str
    """s3, unless the predecessor of this service ran the job and stored its results elsewhere."""
    uploaded: bool
    """True, since files are listed once they are stored; of the predecessor's jobs, as it recorded."""


class Results(TypedDict):
    files: list[ResultLink]
    """Empty while there are none."""
    job_id: str
    message: NotRequired[str]
    partial: bool
    """True if the run stopped early, so that files end early too."""
    result_files: ResultsResultFiles | None
    result_location: str | None
    results: str | None
    """The job's result_location once it has succeeded, null before."""
    status: str
    storage_type: NotRequired[str]
    """s3, unless the predecessor of this service ran the job and stored its results elsewhere."""


class RetryStudyAnswerBody(TypedDict):
    again: int
    """How many runs are made again, or for the first time; 0 if the Idempotency-Key had already ordered them."""
    cancel_requested: bool
    core_seconds: float
    """Used by the runs that have ended."""
    created_at: str | None
    """Null in the answer to a dry run."""
    finished_at: str | None
    labels: dict[str, str]
    max_parallel: int
    """The most runs at work at a time, within the tenant's limits."""
    message: str
    """A remark on the current state, for people."""
    name: str
    priority: Literal["low", "normal", "high"]
    runs: StudyRuns
    started_at: str | None
    """Of the first run."""
    status: NotRequired[Literal["RUNNING", "SUCCEEDED", "INCOMPLETE", "FAILED", "CANCELLED"]]
    """SUCCEEDED: every run has. INCOMPLETE: every run has ended, and some have not succeeded. FAILED: more runs failed
    than on_failure allows, so the rest was stopped or not started. Absent in the answer to a dry run.
    """
    study_id: NotRequired[str]
    """Absent in the answer to a dry run."""
    updated_at: str | None
    """Null in the answer to a dry run."""


class RotateRequestBody(TypedDict):
    keep_old_for: NotRequired[int]
    """How many seconds the old secret goes on signing beside the new one, 86400 by default; 0 for a secret that is no
    longer safe.
    """


class RunCounts(TypedDict):
    cancelled: int
    failed: int
    planned: int
    succeeded: int


S3RequestBodyReplay2 = TypedDict("S3RequestBodyReplay2", {
    "box": "NotRequired[list[float]]",
    "edges": "NotRequired[list[str]]",
    "from": "NotRequired[float]",
    "period": "NotRequired[float]",
    "to": "NotRequired[float]",
})


class S3RequestBody(TypedDict):
    begin: NotRequired[float]
    """Start of the simulated interval, in seconds."""
    cache: NotRequired[Literal["use", "refresh", "off"]]
    """off, the default: the job runs, and no other job takes its results. use: if the tenant has run the same scenario
    with the same options, seed and build of SUMO, and the results are still there, the job has SUCCEEDED at once
    with them (cached_from); otherwise it runs. refresh: it runs, and later jobs take its results. Never taken from
    the cache: tools with keep_as, jobs with a task_token that is answered. use and refresh not with check.
    """
    check: NotRequired[bool]
    """Only lets SUMO load the scenario and examine all routes of the interval: nothing else is simulated and no results
    are kept. What SUMO says is in the job's problems. SUMO ends at the first route that is not connected. Finding
    the routes of trips takes time: a warning says if it was cut short. It does not see: roads that are closed for a
    time, speeds that are too high at a departure, routes behind a saved state or in included files that are cut off.
    It reports an id that is used twice even if the first vehicle would have left.
    """
    config_file: NotRequired[str]
    """Which configuration to run, whatever its name; needed only if the zip has several that can run, or none called
    *.sumocfg. In a form, put it before the zip.
    """
    controller: NotRequired[Controller]
    """A Python program of the scenario that steers SUMO while it simulates; in a form, a JSON object, before the zip.
    The operator must have enabled it (CONTROLLERS) and allowed it for the tenant. The program may write, and make,
    files of the scenario: those that are new or changed when it ends are results.
    """
    cpu_request: NotRequired[int]
    """Cores."""
    end: NotRequired[float]
    """End of the simulated interval, in seconds."""
    labels: NotRequired[dict[str, str]]
    """Up to 20 key-value pairs of your own, to find the job by."""
    memory_gi: NotRequired[int]
    """GiB."""
    outputs: NotRequired[list[Literal["summary", "tripinfo", "statistics", "fcd", "emission", "edgedata", "queue", "lanechange", "stop"]]]
    """Output files wanted besides summary, tripinfo and statistics. Not with tool or check."""
    premium_sim: NotRequired[bool]
    """Same as priority high."""
    priority: NotRequired[Literal["low", "normal", "high"]]
    progress_end_sec: NotRequired[float]
    progress_simulation_id: NotRequired[str]
    progress_start_sec: NotRequired[float]
    progress_webhook_url: NotRequired[str]
    """An https URL that gets the progress in per cent while the job runs; http only where the operator allows it."""
    replay: NotRequired[bool | S3RequestBodyReplay2]
    """Records the run, so that it can be watched while it goes on and afterwards: true, or an object that says what to
    record; in a form, as JSON. It changes no other result. Not with tool or check.
    """
    scale: NotRequired[float]
    """Multiplies the demand."""
    scenario: NotRequired[str]
    """Id of a stored scenario, instead of files in S3."""
    scenario_id: str
    """Your name for the run."""
    seed: NotRequired[int]
    """Seed of SUMO's random number generator."""
    step_length: NotRequired[float]
    """Seconds per step."""
    strict: NotRequired[bool]
    """Refuses a scenario of which SUMO would drop or ignore a part; otherwise that is a warning."""
    sumo_files_s3_url: NotRequired[str]
    """s3://bucket/key of a zip."""
    sumo_files_s3_urls: NotRequired[list[str]]
    """s3:// URLs of the scenario's files, or of one zip."""
    sumo_version: NotRequired[str]
    """One of the SUMO versions that the operator offers; if left out, the tenant's default, or else the newest that can
    run the scenario. GET /versions lists them.
    """
    tables: NotRequired[list[Literal["summary", "tripinfo", "personinfo", "edgedata", "fcd", "emission", "queue", "lanechange", "stops", "detectors"]]]
    """Tables to make when the run has ended, as results tables/NAME.parquet, from outputs that it then writes as well.
    Others are made on request, from outputs of up to 2 GiB of XML. Not with tool or check.
    """
    task_token: NotRequired[str]
    """Of an AWS Step Functions task: it gets SendTaskSuccess or SendTaskFailure when the job has ended. Refused unless
    the operator has enabled it.
    """
    timeout_seconds: NotRequired[int]
    """Wall-clock seconds that the run may take."""
    tool: NotRequired[Tool]
    """One of SUMO's own tools, which runs in place of a simulation; in a form, a JSON object, before the zip. It is
    enabled and allowed as controller is, and excludes it.
    """
    unfinished_trips: NotRequired[bool]
    """Also counts the trips of vehicles that are still on the road at the end, in tripinfo and in the means."""
    webhook_url: NotRequired[str]
    """An https URL that is called when the job starts and when it has ended, signed with webhook_secret of the answer;
    http only where the operator allows it.
    """


class Scenario(TypedDict):
    configs: list[ScenarioConfig]
    """What can be run: one entry per .sumocfg."""
    created_at: str
    derived: NotRequired[Derived]
    """How it differs from its base, the uploaded scenario that it was derived from in one step or several; absent if it
    was uploaded.
    """
    files: list[File]
    id: str
    """SHA-256 of the zip: the same upload is stored once. Of a derived scenario, SHA-256 of a list of its base, its
    changed and added files with their content, and its deleted files: the same changes are stored once.
    """
    name: str
    """Given with the first upload; may be empty."""
    size: int
    """Size of the zip in bytes; for a derived scenario, with what it adds to its base's."""
    unpacked_size: int
    """Total size of the files in bytes."""
    warnings: list[str]
    """Remarks; the scenario can still be run."""


class ScenarioConfig(TypedDict):
    begin: float | None
    """Seconds; null if the configuration does not say."""
    demand: NotRequired[Demand]
    """Absent if a fault was found, or if the scenario was stored by a release that did not count it yet; upload such a
    scenario again.
    """
    end: float | None
    """Seconds; null if the configuration does not say."""
    least_sumo_version: str
    """First version of SUMO that has all that this configuration needs; empty for any."""
    network: NotRequired[Network]
    """Absent if a fault was found, or if the scenario was stored by a release that did not count it yet; upload such a
    scenario again.
    """
    outputs: list[str]
    """Files that this configuration makes SUMO write."""
    path: str
    """The value for a job's config_file."""
    problems: list[Item]
    """What keeps it from running with any version; a job cannot choose it."""
    random: bool
    """Whether the configuration wants another seed for each run: it is drawn when a job is submitted."""
    seed: int | None
    """Null if the configuration does not say."""
    warnings: list[str]
    """Remarks; it can still be run."""


class ScenarioData(TypedDict):
    config_file: str
    scenario_id: str


class ScenarioSummary(TypedDict):
    configs: list[ScenarioConfig]
    """What can be run: one entry per .sumocfg."""
    created_at: str
    derived: NotRequired[Derived]
    """How it differs from its base, the uploaded scenario that it was derived from in one step or several; absent if it
    was uploaded.
    """
    id: str
    """SHA-256 of the zip: the same upload is stored once. Of a derived scenario, SHA-256 of a list of its base, its
    changed and added files with their content, and its deleted files: the same changes are stored once.
    """
    name: str
    """Given with the first upload; may be empty."""
    size: int
    """Size of the zip in bytes; for a derived scenario, with what it adds to its base's."""
    unpacked_size: int
    """Total size of the files in bytes."""
    warnings: list[str]
    """Remarks; the scenario can still be run."""


class ScenariosPageBody(TypedDict):
    next_cursor: str
    """Empty on the last page."""
    scenarios: list[ScenarioSummary]


class Schema(TypedDict):
    columns: list[Column]
    complete: bool
    """False when the run stopped early, so that rows are missing."""
    name: str
    time_column: str
    """The column that from and to apply to; empty if there is none."""


class Segment(TypedDict):
    begin: float
    """Simulated time of its first frame, in seconds."""
    bytes: int
    end: float
    """Simulated time of its last frame, in seconds."""
    frames: int
    halting: int
    """Those of them that stand."""
    n: int
    """Its number, which is part of its address."""
    running: int
    """Vehicles, without persons, in its last frame."""


class Sent(TypedDict):
    delivered: int
    failed: int
    given_up: int
    signals: int


class Series(TypedDict):
    complete: bool
    """False when the run stopped early, so that the curves do too."""
    job_id: str
    merged: int
    """How many steps each point stands for: it doubles until 1000 points suffice."""
    series: list[Curve]
    time: list[float | None]
    """Seconds of simulated time: the last step of each point."""


class ServiceStats(TypedDict):
    buckets: list[Minute]
    """One per minute, oldest first; the last is the current minute."""
    failures: list[Failure]
    """Why jobs failed, the most frequent reason first."""
    minutes: int


class SimulationNode(TypedDict):
    created_at: str | None
    name: str
    ready: bool


class Snapshot(TypedDict):
    complete: bool
    """True once the job has finished and logs reaches the end of the log: nothing more will follow."""
    job_id: str
    log_began_at: str | None
    """When the run that writes this log began. If the value changes, the job was restarted and its log starts over."""
    logs: str
    """Always whole characters. If there is no log yet, an answer to a request without offset says why here."""
    message: NotRequired[str]
    """Why there is no log, or less than requested."""
    next_offset: int
    """Byte after the end of logs: send it as offset to read on."""
    offset: int
    """Offset in bytes at which logs begins."""
    pod_name: str
    """The pod or process that runs the job; empty until it exists."""
    size: int
    """Current size of the log in bytes."""
    status: str
    truncated: bool
    """True if the log has more before offset."""


class Stats(TypedDict):
    cancelled: int
    failed: int
    pending: int
    queued: int
    running: int
    succeeded: int


Step = TypedDict("Step", {
    "added": "list[str]",
    "changed": "list[str]",
    "deleted": "list[str]",
    "from": "str",
})


class StopLine(TypedDict):
    index: int
    """Of the link: its place in the signal's states."""
    line: list[float]
    """x0, y0, x1, y1, across the lane from right to left. A lane with several links is divided among them."""
    signal: str
    """Id of the traffic light (tlLogic)."""


class StoredScenario(TypedDict):
    configs: list[ScenarioConfig]
    """What can be run: one entry per .sumocfg."""
    created: bool
    """False if the scenario was stored already."""
    created_at: str
    derived: NotRequired[Derived]
    """How it differs from its base, the uploaded scenario that it was derived from in one step or several; absent if it
    was uploaded.
    """
    files: list[File]
    id: str
    """SHA-256 of the zip: the same upload is stored once. Of a derived scenario, SHA-256 of a list of its base, its
    changed and added files with their content, and its deleted files: the same changes are stored once.
    """
    name: str
    """Given with the first upload; may be empty."""
    size: int
    """Size of the zip in bytes; for a derived scenario, with what it adds to its base's."""
    step: NotRequired[Step]
    """In the answer to a derivation, what it has differently from the scenario that the call named, which may be
    derived itself; derived has all that differs from their common base.
    """
    unpacked_size: int
    """Total size of the files in bytes."""
    warnings: list[str]
    """Remarks; the scenario can still be run."""


class StudiesPageBody(TypedDict):
    next_cursor: str
    """Empty on the last page."""
    studies: list[StudySummary]


class StudyEstimate(TypedDict):
    """What all planned runs are expected to take, from earlier runs of the same scenarios; null while there are none.
    """
    core_seconds: float
    seconds: float
    """From the first start to the last end, if the tenant's limits, and the machine where the service has one, are free
    for this study.
    """


class StudyRemaining(TypedDict):
    """The same for the runs that have not ended; null when the study has finished or is being cancelled."""
    core_seconds: float
    seconds: float
    """From the first start to the last end, if the tenant's limits, and the machine where the service has one, are free
    for this study.
    """


class Study(TypedDict):
    cancel_requested: bool
    core_seconds: float
    """Used by the runs that have ended."""
    created_at: str | None
    """Null in the answer to a dry run."""
    estimate: StudyEstimate | None
    """What all planned runs are expected to take, from earlier runs of the same scenarios; null while there are none.
    """
    eta: str | None
    """When the last run is expected to end; null while that is not known, or when the study has finished or is being
    cancelled.
    """
    finished_at: str | None
    labels: dict[str, str]
    max_parallel: int
    """The most runs at work at a time, within the tenant's limits."""
    message: str
    """A remark on the current state, for people."""
    metrics: list[str]
    """The metrics that are kept of each run, as numbers that outlive its results."""
    most_runs: int
    """How many runs it may come to: those that are planned, or, with replications.until, those of all rounds up to max.
    """
    name: str
    plan: Plan
    """What was asked for, with what was added since."""
    points: list[StudyPoint]
    priority: Literal["low", "normal", "high"]
    remaining: StudyRemaining | None
    """The same for the runs that have not ended; null when the study has finished or is being cancelled."""
    runs: StudyRuns
    seeds: list[int]
    """Of the replications, the first one at place 0."""
    started_at: str | None
    """Of the first run."""
    status: NotRequired[Literal["RUNNING", "SUCCEEDED", "INCOMPLETE", "FAILED", "CANCELLED"]]
    """SUCCEEDED: every run has. INCOMPLETE: every run has ended, and some have not succeeded. FAILED: more runs failed
    than on_failure allows, so the rest was stopped or not started. Absent in the answer to a dry run.
    """
    study_id: NotRequired[str]
    """Absent in the answer to a dry run."""
    updated_at: str | None
    """Null in the answer to a dry run."""


class StudyComparison(TypedDict):
    adjustment: str
    """How p values are adjusted: Holm."""
    baseline: Baseline
    comparisons: list[PointComparison]
    """By point, then by metric."""
    confidence: float
    family: int
    """How many comparisons p_adjusted counts: all points by all metrics of the study, whatever this answer shows."""
    metrics: list[StudyMetric]
    notes: list[str]
    """What to know about these numbers."""
    points: list[PointFate]
    status: Literal["RUNNING", "SUCCEEDED", "INCOMPLETE", "FAILED", "CANCELLED"]
    study_id: str
    unmatched: list[int]
    """Points for which the baseline has no partner."""


class StudyEdge(TypedDict):
    difference: NotRequired[float]
    """To the other point: negative is lower. Of pairs of runs with the same seed, or of the means where fewer than two
    pair. Absent without another point, or without a value of each.
    """
    id: str
    mean: float | None
    n: int
    """Runs of the point with a value: all that have the interval, of what is 0 on an edge without vehicles; else those
    with a vehicle there.
    """
    p: NotRequired[float]
    """Two-sided; absent without a test, as where all pairs differ by the same number."""
    q: NotRequired[float]
    """p adjusted for the false discovery rate (Benjamini and Hochberg) over all edges and intervals of the attribute.
    """
    sd: float | None
    """Standard deviation; null below two values."""
    told_apart: NotRequired[bool]
    """Whether q is at most 0.05: of the edges and intervals that are told apart, one in twenty is expected to be by
    chance. Absent without another point.
    """


class StudyEdges(TypedDict):
    against: int | None
    """The point of which differences are; null without one."""
    against_n: NotRequired[int]
    """Runs of the other point that count; absent without one."""
    attribute: str
    attributes: list[str]
    """All that the runs have, by their names in SUMO's output."""
    edges: list[StudyEdge]
    """By id. Those on which no run had a vehicle are left out."""
    interval: int
    """The one of intervals that edges are about."""
    intervals: list[EdgeInterval]
    n: int
    """Runs of the point that count."""
    notes: list[str]
    """What to know about these numbers."""
    point: int
    study_id: str
    unit: str
    """1 for a bare ratio; empty where it is not known."""


class StudyMetric(TypedDict):
    better: Literal["lower", "higher", ""]
    """Which way is good for traffic; empty where neither is."""
    name: str
    unit: str
    """1 for a bare ratio or count."""


class StudyPlotLink(TypedDict):
    name: Literal["means", "boxes", "differences", "convergence"]
    png: str
    """Path relative to the service's address."""
    svg: str
    """Path relative to the service's address."""
    title: str


class StudyPlots(TypedDict):
    plots: list[StudyPlotLink]
    study_id: str


class StudyPoint(TypedDict):
    config_file: str
    core_seconds: float | None
    """Expected of one run; null while there are no earlier ones."""
    cpu_request: int
    """Cores of one run."""
    memory_gi: int
    """GiB of one run."""
    needed: int
    """How many runs it is to have."""
    point: int
    """Its number, as jobs name it."""
    runs: PointRuns
    scenario: str
    """Id of the scenario."""
    setting: dict[str, Any] | None
    sumo_version: str
    variant: str
    warnings: list[str]
    """What to know about each of its runs."""


StudyRunReplay2 = TypedDict("StudyRunReplay2", {
    "box": "NotRequired[list[float]]",
    "edges": "NotRequired[list[str]]",
    "from": "NotRequired[float]",
    "period": "NotRequired[float]",
    "to": "NotRequired[float]",
})


class StudyRun(TypedDict):
    """The fields of POST /jobs but those that belong to single jobs."""
    begin: NotRequired[float]
    """Start of the simulated interval, in seconds."""
    config_file: NotRequired[str]
    """Which configuration to run, whatever its name; needed only if the zip has several that can run, or none called
    *.sumocfg. In a form, put it before the zip.
    """
    controller: NotRequired[Controller]
    """A Python program of the scenario that steers SUMO while it simulates; in a form, a JSON object, before the zip.
    The operator must have enabled it (CONTROLLERS) and allowed it for the tenant. The program may write, and make,
    files of the scenario: those that are new or changed when it ends are results.
    """
    cpu_request: NotRequired[int]
    """Cores."""
    end: NotRequired[float]
    """End of the simulated interval, in seconds."""
    labels: NotRequired[dict[str, str]]
    """Up to 20 key-value pairs of your own, to find the job by."""
    memory_gi: NotRequired[int]
    """GiB."""
    outputs: NotRequired[list[Literal["summary", "tripinfo", "statistics", "fcd", "emission", "edgedata", "queue", "lanechange", "stop"]]]
    """Output files wanted besides summary, tripinfo and statistics. Not with tool or check."""
    priority: NotRequired[Literal["low", "normal", "high"]]
    replay: NotRequired[bool | StudyRunReplay2]
    """Records the run, so that it can be watched while it goes on and afterwards: true, or an object that says what to
    record; in a form, as JSON. It changes no other result. Not with tool or check.
    """
    scale: NotRequired[float]
    """Multiplies the demand."""
    step_length: NotRequired[float]
    """Seconds per step."""
    strict: NotRequired[bool]
    """Refuses a scenario of which SUMO would drop or ignore a part; otherwise that is a warning."""
    sumo_version: NotRequired[str]
    """One of the SUMO versions that the operator offers; if left out, the tenant's default, or else the newest that can
    run the scenario. GET /versions lists them.
    """
    tables: NotRequired[list[Literal["summary", "tripinfo", "personinfo", "edgedata", "fcd", "emission", "queue", "lanechange", "stops", "detectors"]]]
    """Tables to make when the run has ended, as results tables/NAME.parquet, from outputs that it then writes as well.
    Others are made on request, from outputs of up to 2 GiB of XML. Not with tool or check.
    """
    timeout_seconds: NotRequired[int]
    """Wall-clock seconds that the run may take."""
    unfinished_trips: NotRequired[bool]
    """Also counts the trips of vehicles that are still on the road at the end, in tripinfo and in the means."""


class StudyRuns(TypedDict):
    active: int
    """Handed over, and not ended: those that are running, and those that wait for their turn. Runs are handed over in
    groups of up to 200, of which a few run at a time.
    """
    cached: int
    """How many of the succeeded runs have results that were taken from the cache; in the answer to a submission or a
    dry run, how many will. Lists of studies say 0.
    """
    cancelled: int
    done: int
    """Ended, in whatever way."""
    failed: int
    planned: int
    running: int
    """Those of active that are being simulated now: at most max_parallel."""
    succeeded: int


class StudyStatistics(TypedDict):
    confidence: float
    metrics: list[StudyMetric]
    notes: list[str]
    """What to know about these numbers."""
    points: list[PointFate]
    statistics: list[MetricEstimate]
    """By point, then by metric."""
    status: Literal["RUNNING", "SUCCEEDED", "INCOMPLETE", "FAILED", "CANCELLED"]
    study_id: str


class StudySummary(TypedDict):
    cancel_requested: bool
    core_seconds: float
    """Used by the runs that have ended."""
    created_at: str | None
    """Null in the answer to a dry run."""
    finished_at: str | None
    labels: dict[str, str]
    max_parallel: int
    """The most runs at work at a time, within the tenant's limits."""
    message: str
    """A remark on the current state, for people."""
    name: str
    priority: Literal["low", "normal", "high"]
    runs: StudyRuns
    started_at: str | None
    """Of the first run."""
    status: NotRequired[Literal["RUNNING", "SUCCEEDED", "INCOMPLETE", "FAILED", "CANCELLED"]]
    """SUCCEEDED: every run has. INCOMPLETE: every run has ended, and some have not succeeded. FAILED: more runs failed
    than on_failure allows, so the rest was stopped or not started. Absent in the answer to a dry run.
    """
    study_id: NotRequired[str]
    """Absent in the answer to a dry run."""
    updated_at: str | None
    """Null in the answer to a dry run."""


class StudyTable(TypedDict):
    rows: list[TableRow]
    """By point, replication and metric."""


class SubmittedConfinement(TypedDict):
    """What confined SUMO to the run's folder. Null until the job has finished, or if SUMO never started."""
    filter: bool
    """A system call filter (seccomp) was in force."""
    landlock: int
    """ABI version of the kernel's Landlock that confined SUMO to its files; 0 if Landlock was not used."""
    namespace: bool
    """A mount namespace confined SUMO to its files."""
    user: bool
    """SUMO ran as a user of its own, shared with no other process."""


class SubmittedResultFiles(TypedDict):
    files: list[ResultFile]
    prefix: str
    """What the keys of all files begin with, in the bucket that result_location names."""
    storage_type: str
    """s3, unless the predecessor of this service ran the job and stored its results elsewhere."""
    uploaded: bool
    """True, since files are listed once they are stored; of the predecessor's jobs, as it recorded."""


class Submitted(TypedDict):
    attempt: int
    """How often the job was started; more than 1 when a run was lost and repeated."""
    cached_from: str | None
    """The job whose results these are, if they were taken from the cache; otherwise null. It may have been deleted
    since.
    """
    cancel_requested: bool
    config_file: str
    """The configuration that runs."""
    confinement: SubmittedConfinement | None
    """What confined SUMO to the run's folder. Null until the job has finished, or if SUMO never started."""
    cpu_request: int
    """Cores."""
    error: str | None
    """Null, or one readable sentence saying why the job did not succeed."""
    finished_at: str | None
    imported: bool
    """True if the predecessor of this service ran the job: its scenario, log and results are not here."""
    job_id: str
    kept_scenario: NotRequired[str]
    """Id of the stored scenario that the tool's result has become (options.tool.keep_as), if it was accepted; otherwise
    a warning says why not. It may have been deleted since.
    """
    labels: dict[str, str]
    """As given at submission."""
    memory_gi: int
    """GiB."""
    message: str
    """A remark on the current state, for people."""
    options: Options
    """What was chosen for the run. Anything absent is left to the scenario."""
    point: int | None
    """The study's point; null for jobs of no study."""
    priority: Literal["low", "normal", "high"]
    problems: list[Item]
    """What SUMO says about the scenario, if the job only checks it (options.check)."""
    progress: float
    reason: str
    """Machine-readable reason why the job did not succeed; empty otherwise."""
    replication: int | None
    """The place of the seed among those of the study; null for jobs of no study."""
    result_files: SubmittedResultFiles | None
    result_location: str | None
    """Where the results are, once the job has finished."""
    scenario: str
    """Id of the scenario. Empty if imported."""
    scenario_id: str
    """The name given at submission."""
    seed: int | None
    """Seed of SUMO's random number generator in every attempt: the one asked for, the configuration's, or one drawn for
    a configuration with random; null means SUMO's default, 23423.
    """
    setting: dict[str, Any] | None
    """The value of each axis at the point, where variant is given; otherwise null."""
    started_at: str | None
    status: Literal["QUEUED", "PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
    study_id: str | None
    """The study that the job is a run of; null for other jobs."""
    submitted_at: str
    sumo_version: str
    """The SUMO version that ran; empty until the job has finished. options.sumo_version is the one to run."""
    superseded: NotRequired[bool]
    """Whether this run of a study failed and was ordered again, so that it counts no longer."""
    task_token: NotRequired[str]
    """As given at submission."""
    tenant_id: str
    timeout_seconds: int
    """Wall-clock seconds that the run may take."""
    variant: str | None
    """Name of the point's variant. GET /jobs and GET /jobs/{id} have it; null elsewhere, and for jobs of no study."""
    warnings: list[str]
    """What to know about the scenario and the run: what SUMO drops or ignores, what was replaced, changed defaults."""
    webhook_secret: NotRequired[str]
    """Verifies the signature of what webhook_url receives. It is shown only here, again if the request is repeated with
    its Idempotency-Key.
    """


class Summary(TypedDict):
    config_file: str
    job_id: str
    metrics: list[Metric]
    partial: bool
    status: str
    sumo_version: str
    warnings: int


class TableDocument(TypedDict):
    columns: list[Column]
    rows: list[dict[str, Any]]
    """Each has a field for every column; null where a value is missing."""


class TableRow(TypedDict):
    job_id: str
    metric: str
    point: int
    reason: str
    """Of a run that failed."""
    replication: int
    seed: int
    setting: dict[str, Any] | None
    status: Literal["SUCCEEDED", "FAILED", "CANCELLED"]
    sumo_version: str
    unit: str
    value: float | None
    """Null if the run failed, or does not have the metric."""
    variant: str


class TableState(TypedDict):
    columns: NotRequired[list[Column]]
    """Once it is ready."""
    name: Literal["summary", "tripinfo", "personinfo", "edgedata", "fcd", "emission", "queue", "lanechange", "stops", "detectors"]
    ready: bool
    """Whether it has been made."""
    rows: int | None
    """Null until it is ready."""


class Tables(TypedDict):
    job_id: str
    tables: list[TableState]


class Tenant(TypedDict):
    api_key: str
    """The key itself when it is issued; afterwards only its first characters."""
    controllers: bool
    """Whether the tenant's jobs may run programs of their scenarios, and tools of SUMO's, where the operator has
    enabled them (CONTROLLERS).
    """
    created_at: str
    default_sumo_version: str
    """SUMO version of jobs that name none; empty for the newest."""
    input_buckets: list[str]
    """Where the tenant's s3:// inputs may come from, each written bucket or bucket/prefix/."""
    max_concurrent_jobs: int
    """Jobs that may run at a time."""
    max_cpu: int
    """Cores that the tenant's jobs may use together."""
    max_memory_gi: int
    """GiB that the tenant's jobs may use together."""
    namespace: str
    """Kubernetes namespace of the tenant's jobs, and prefix of its objects."""
    tenant_id: str
    warnings: NotRequired[list[str]]
    """What to know about the request that this answers, such as unknown fields that were ignored."""


class TenantImport(TypedDict):
    notes: list[str]
    """Why it was refused, what was changed, and what is left to do."""
    outcome: Literal["new", "present", "refused"]
    tenant_id: str


class TenantQueue(TypedDict):
    concurrent_jobs_in_use: int
    """Pending and running jobs, with each chunk of a study's runs as one."""
    cpu_in_use: int
    """Cores held by pending and running jobs."""
    max_concurrent_jobs: int
    max_cpu: int
    max_memory_gi: int
    memory_gi_in_use: int
    """GiB held by pending and running jobs."""
    oldest_wait_seconds: float
    pending: int
    queued: int
    running: int
    studies: int
    """Studies that go on."""
    study_runs_unstarted: int
    """Their runs that have not been started. They are no jobs yet, and not among those queued."""
    tenant_id: str


class Tool(TypedDict):
    args: NotRequired[list[str]]
    """What the tool is called with, at the top of the scenario: files are named by their paths in it. {seed}, {out} and
    {config} are as in a controller's args.
    """
    keep_as: NotRequired[str]
    """Keeps the scenario, with what the tool has made of it, as a stored scenario of this name."""
    name: Literal["duaIterate", "marouter", "routeSampler", "netconvert", "od2trips", "randomTrips", "cutRoutes", "tlsCycleAdaptation", "tlsCoordinator"]


Usage = TypedDict("Usage", {
    "concurrent_jobs": "int",
    "limits.cpu": "str",
    "limits.memory": "str",
    "requests.cpu": "str",
    "requests.memory": "str",
})


class Validation(TypedDict):
    configs: list[ScenarioConfig]
    """The configurations that could be read."""
    detail: str
    """Empty if valid, otherwise a sentence on the first problem."""
    errors: list[Item]
    """Every problem found."""
    files: list[File]
    id: str
    """SHA-256 of the zip: the id the scenario would have."""
    size: int
    """Size of the zip in bytes."""
    unpacked_size: int
    """Total size of the files in bytes."""
    valid: bool
    """Whether a job could run the scenario, in the interval of its configuration."""
    warnings: list[str]
    """Remarks; the scenario can still be run."""


class Variant(TypedDict):
    name: str
    run: NotRequired[StudyRun]
    """Fields that this variant has in place of the study's."""
    scenario: str
    """Id of a stored scenario."""


VehicleType = TypedDict("VehicleType", {
    "class": "str",
    "length": "float",
    "width": "float",
})


class Vehicles(TypedDict):
    begin: float
    """Simulated time of the recording's first frame, in seconds."""
    complete: bool
    """False if the run stopped early."""
    end: float
    """Simulated time of the recording's last frame, in seconds."""
    frames: list[list[list[float]]]
    """For each time one array for each vehicle: its index in ids, x and y in m in the plane of the network, its angle
    in degrees clockwise from north, and its speed in m/s.
    """
    ids: list[str]
    """The vehicles of these frames."""
    job_id: str
    next: float | None
    """Where the next part begins; null if this is the last."""
    times: list[float]
    """Seconds of simulated time."""
    types: list[str]
    """The type of each of ids."""


class Version(TypedDict):
    architectures: list[str]
    """Processors that it runs on, in Go's terms; empty if not known."""
    build: str
    """Full version; empty if it is not known before a run."""
    can_run: list[str]
    """What scenarios may use with it and not with every version on offer."""
    controllers: bool
    """Whether controllers and tools can run with it: they are enabled, and Python and libsumo are there."""
    default: bool
    """Whether it runs this tenant's jobs that name no version."""
    installed: bool
    """Whether jobs can choose it. One that is not must first be installed: make sumo VERSIONS=…"""
    unsupported: bool
    """True if the operator offers it although this release is not tested with it."""
    version: str
    """The value for a job's sumo_version."""


class VersionsAnswerBody(TypedDict):
    notes: list[str]
    """Remarks, such as on a default that is no longer offered."""
    versions: list[Version]
    """Oldest first."""


class Warmup(TypedDict):
    cpu_request: int
    job_name: str
    keep_alive_seconds: int
    memory_gi: int
    message: str
    namespace: str
    status: Literal["warming_up"]
    warmup_id: str


class WarmupJob(TypedDict):
    created_at: str
    name: str
    status: str
    """pending, running, completed or failed."""
    warmup_id: str


class WarmupsAnswerBody(TypedDict):
    message: str
    simulation_nodes: list[SimulationNode]
    warmup_jobs: list[WarmupJob]


class Webhook(TypedDict):
    created_at: str
    enabled: bool
    """Nothing is recorded for a disabled webhook, and what was waiting is paused."""
    events: list[Literal["job.queued", "job.running", "job.finished", "job.progress", "study.finished"]]
    """Of a run of less than a second job.running may be left out."""
    format: Literal["standard", "cloudevents"]
    """Form of the body: {type, timestamp, data}, or a structured CloudEvent 1.0."""
    labels: dict[str, str]
    """Only jobs that have all of these labels are reported; empty for every job."""
    old_secrets_until: str | None
    """When the last replaced secret stops signing; null if only the current one signs."""
    remark: str
    """Why the service disabled the webhook; empty otherwise."""
    studies: bool
    """Whether a study's runs are reported too."""
    updated_at: str
    url: str
    """Where events are POSTed."""
    webhook_id: str


class WebhookJobSummary(TypedDict):
    """Key figures of a finished run; null if there are none."""
    config_file: str
    metrics: list[Metric]
    partial: bool
    sumo_version: str
    warnings: int


class WebhookJob(TypedDict):
    attempt: int
    check: bool
    """Whether the job only checks its scenario."""
    finished_at: str | None
    job_id: str
    labels: dict[str, str]
    message: str
    point: NotRequired[int]
    """Its point in the study."""
    progress: float
    reason: str
    replication: NotRequired[int]
    """From 0: which of the study's seeds it has."""
    scenario_id: str
    """The name given at submission."""
    started_at: str | None
    status: Literal["QUEUED", "PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
    study_id: NotRequired[str]
    """The study that the job is a run of; absent for other jobs, as are point and replication."""
    submitted_at: str
    summary: WebhookJobSummary | None
    """Key figures of a finished run; null if there are none."""
    sumo_version: str
    tenant_id: str


class WebhookMessage(TypedDict):
    data: WebhookJob | WebhookStudy
    timestamp: str
    """When it happened."""
    type: Literal["job.queued", "job.running", "job.finished", "job.progress", "study.finished"]


class WebhookStudy(TypedDict):
    created_at: str
    finished_at: str | None
    labels: dict[str, str]
    message: str
    name: str
    runs: RunCounts
    started_at: str | None
    status: Literal["RUNNING", "SUCCEEDED", "INCOMPLETE", "FAILED", "CANCELLED"]
    study_id: str
    tenant_id: str


class WebhooksAnswerBody(TypedDict):
    webhooks: list[Webhook]


SubmissionOptionsReplay2 = TypedDict("SubmissionOptionsReplay2", {
    "box": "NotRequired[list[float]]",
    "edges": "NotRequired[list[str]]",
    "from": "NotRequired[float]",
    "period": "NotRequired[float]",
    "to": "NotRequired[float]",
})


class SubmissionOptions(TypedDict):
    """How a job runs. The service chooses what is left out."""
    begin: NotRequired[float]
    """Start of the simulated interval, in seconds."""
    cache: NotRequired[Literal["use", "refresh", "off"]]
    """off, the default: the job runs, and no other job takes its results. use: if the tenant has run the same scenario
    with the same options, seed and build of SUMO, and the results are still there, the job has SUCCEEDED at once
    with them (cached_from); otherwise it runs. refresh: it runs, and later jobs take its results. Never taken from
    the cache: tools with keep_as, jobs with a task_token that is answered. use and refresh not with check.
    """
    check: NotRequired[bool]
    """Only lets SUMO load the scenario and examine all routes of the interval: nothing else is simulated and no results
    are kept. What SUMO says is in the job's problems. SUMO ends at the first route that is not connected. Finding
    the routes of trips takes time: a warning says if it was cut short. It does not see: roads that are closed for a
    time, speeds that are too high at a departure, routes behind a saved state or in included files that are cut off.
    It reports an id that is used twice even if the first vehicle would have left.
    """
    config_file: NotRequired[str]
    """Which configuration to run, whatever its name; needed only if the zip has several that can run, or none called
    *.sumocfg. In a form, put it before the zip.
    """
    controller: NotRequired[Controller]
    """A Python program of the scenario that steers SUMO while it simulates; in a form, a JSON object, before the zip.
    The operator must have enabled it (CONTROLLERS) and allowed it for the tenant. The program may write, and make,
    files of the scenario: those that are new or changed when it ends are results.
    """
    cpu_request: NotRequired[int]
    """Cores."""
    end: NotRequired[float]
    """End of the simulated interval, in seconds."""
    labels: NotRequired[dict[str, str]]
    """Up to 20 key-value pairs of your own, to find the job by."""
    memory_gi: NotRequired[int]
    """GiB."""
    outputs: NotRequired[list[Literal["summary", "tripinfo", "statistics", "fcd", "emission", "edgedata", "queue", "lanechange", "stop"]]]
    """Output files wanted besides summary, tripinfo and statistics. Not with tool or check."""
    priority: NotRequired[Literal["low", "normal", "high"]]
    replay: NotRequired[bool | SubmissionOptionsReplay2]
    """Records the run, so that it can be watched while it goes on and afterwards: true, or an object that says what to
    record; in a form, as JSON. It changes no other result. Not with tool or check.
    """
    scale: NotRequired[float]
    """Multiplies the demand."""
    seed: NotRequired[int]
    """Seed of SUMO's random number generator."""
    step_length: NotRequired[float]
    """Seconds per step."""
    strict: NotRequired[bool]
    """Refuses a scenario of which SUMO would drop or ignore a part; otherwise that is a warning."""
    sumo_version: NotRequired[str]
    """One of the SUMO versions that the operator offers; if left out, the tenant's default, or else the newest that can
    run the scenario. GET /versions lists them.
    """
    tables: NotRequired[list[Literal["summary", "tripinfo", "personinfo", "edgedata", "fcd", "emission", "queue", "lanechange", "stops", "detectors"]]]
    """Tables to make when the run has ended, as results tables/NAME.parquet, from outputs that it then writes as well.
    Others are made on request, from outputs of up to 2 GiB of XML. Not with tool or check.
    """
    task_token: NotRequired[str]
    """Of an AWS Step Functions task: it gets SendTaskSuccess or SendTaskFailure when the job has ended. Refused unless
    the operator has enabled it.
    """
    timeout_seconds: NotRequired[int]
    """Wall-clock seconds that the run may take."""
    tool: NotRequired[Tool]
    """One of SUMO's own tools, which runs in place of a simulation; in a form, a JSON object, before the zip. It is
    enabled and allowed as controller is, and excludes it.
    """
    unfinished_trips: NotRequired[bool]
    """Also counts the trips of vehicles that are still on the road at the end, in tripinfo and in the means."""
    webhook_url: NotRequired[str]
    """An https URL that is called when the job starts and when it has ended, signed with webhook_secret of the answer;
    http only where the operator allows it.
    """
