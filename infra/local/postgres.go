package local

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/process"
)

const (
	// postgresStart covers the recovery of a few hundred megabytes of log after a crash.
	postgresStart = time.Minute
	// postgresStop covers the last checkpoint, which writes at most the shared buffers.
	postgresStop = 30 * time.Second
	// predecessorEnd is longer than the 5 s after which a postmaster in immediate shutdown kills its children.
	predecessorEnd = 15 * time.Second
	// pollEvery is short compared with what it waits for: a server that starts in 100 ms.
	pollEvery = 10 * time.Millisecond
	// socketPathLimit is the kernel's limit for the path of a unix socket, without the terminating zero.
	socketPathLimit = 107
	// superuser is the only role of a private cluster.
	superuser = "postgres"
)

// distributionBinaries is where Debian and its descendants install each major version.
const distributionBinaries = "/usr/lib/postgresql/*/bin"

// rootClusters is where root's clusters are when Postgres cannot reach the data folder. Unlike in /var/tmp, unused files are
// not cleaned up there.
const rootClusters = "/var/lib/sumo-k8"

// common settings suit one machine with one user: small, no replication, and no tuning for long queries. The level of the log is not
// minimal: there, identity columns repeat numbers after a crash, if a row was added in the transaction that made their table.
var common = []string{
	"listen_addresses=",
	"unix_socket_permissions=0700",
	"max_wal_senders=0",
	"jit=off",
	"max_parallel_workers_per_gather=0",
	"timezone=UTC",
	"log_timezone=UTC",
}

// use describes a kind of cluster.
type use struct {
	initdb   []string // options when the cluster is made
	settings []string // of the server, on top of the common ones
	clients  string   // who may connect other than by the socket, in the form of pg_hba.conf
	password string   // of the superuser; empty for one that is generated and stored beside the cluster
}

var (
	// durable keeps every committed transaction through a power cut.
	durable = use{settings: []string{"shared_buffers=64MB", "max_connections=100", "max_wal_size=256MB"}}

	// disposable loses the cluster in a power cut, for speed, and is small enough to run several at once.
	disposable = use{
		initdb: []string{"--no-sync"},
		settings: []string{
			"shared_buffers=16MB", "max_connections=60",
			"fsync=off", "synchronous_commit=off", "full_page_writes=off",
		},
	}

	// killable loses the cluster in a power cut as well, but nothing when its server is killed: what is committed has been
	// handed to the kernel.
	killable = use{
		initdb: []string{"--no-sync"},
		// Several functions, each with a pool.
		settings: []string{"shared_buffers=64MB", "max_connections=200", "fsync=off", "synchronous_commit=on", "full_page_writes=off"},
	}
)

// bySocket requires the password on the socket: other programs of this user can reach it as well, among them a run that
// escapes its confinement.
const bySocket = "local all all scram-sha-256\n"

// Postgres is a running cluster that only a reader of this user's files can reach.
type Postgres struct {
	process  *process.Process
	home     string
	sockets  string
	password string
	log      zerolog.Logger
}

// StartPostgres runs the Postgres that the distribution installed, on a cluster in dir that it makes at the first start,
// and returns when it accepts connections. It listens on a unix socket in a private folder only, and requires a password
// that is kept in dir, or for root beside the cluster, where only we can read it; a cluster of an earlier release gets one. Run as
// root, which Postgres refuses, it runs as the user postgres or nobody; when that user cannot reach dir, the cluster is kept under
// /var/lib/sumo-k8, and the log says so.
//
// ctx bounds the start only. One process at a time may start a dir: hold its Lock. After a kill -9 of that process, the
// next start waits for the old server to end and recovers the cluster.
func StartPostgres(ctx context.Context, dir string, log zerolog.Logger) (*Postgres, error) {
	return startPostgres(ctx, dir, durable, log)
}

// StartDisposablePostgres is StartPostgres for tests: smaller, and faster because it does not survive a power cut.
func StartDisposablePostgres(ctx context.Context, dir string, log zerolog.Logger) (*Postgres, error) {
	return startPostgres(ctx, dir, disposable, log)
}

// Listener is where a cluster accepts connections other than this user's.
type Listener struct {
	Address  string // an address of this machine; the port is Postgres' usual one
	Clients  string // the network that they come from, as 10.0.0.0/8
	Password string // of the superuser
}

// StartListeningPostgres is StartPostgres for a lab whose clients are on a separate network. It is faster because a
// power cut may cost the cluster; nothing that is committed is lost when the server is killed.
func StartListeningPostgres(ctx context.Context, dir string, l Listener, log zerolog.Logger) (*Postgres, error) {
	open := killable
	open.settings = append(slices.Clone(killable.settings), "listen_addresses="+l.Address)
	open.clients = fmt.Sprintf("host all all %s scram-sha-256\n", l.Clients)
	open.password = l.Password
	return startPostgres(ctx, dir, open, log)
}

func startPostgres(ctx context.Context, dir string, use use, log zerolog.Logger) (*Postgres, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	account, err := postgresAccount()
	if err != nil {
		return nil, err
	}
	home, err := makeHome(dir, account, log)
	if err != nil {
		return nil, fmt.Errorf("make the database's folder: %w", err)
	}
	data := filepath.Join(home, "data")
	binaries, err := findPostgres(data)
	if err != nil {
		return nil, err
	}
	password := use.password
	if password == "" {
		if password, err = loadPassword(filepath.Join(home, "password")); err != nil {
			return nil, fmt.Errorf("keep the database's password: %w", err)
		}
	}
	settings := slices.Concat(common, use.settings)
	givePassword := func(data string) error { return setPassword(ctx, binaries, data, account, settings, password) }
	if err := initCluster(ctx, binaries, data, account, use.initdb, givePassword); err != nil {
		return nil, err
	}
	sockets, err := socketFolder(data, account)
	if err != nil {
		return nil, fmt.Errorf("make the database's socket folder: %w", err)
	}
	if err := awaitPredecessor(ctx, data, log); err != nil {
		return nil, err
	}
	clients := filepath.Join(home, "clients.conf")
	// Readable for the account that the server runs as, whatever our umask; it holds no secret. It replaces the cluster's own
	// file, which lets any local user in if an earlier release made the cluster.
	const readable = 0o644
	if err := cmp.Or(os.WriteFile(clients, []byte(bySocket+use.clients), readable), os.Chmod(clients, readable)); err != nil {
		return nil, fmt.Errorf("write the database's access rules: %w", err)
	}
	args := []string{"-D", data, "-k", sockets, "-c", "hba_file=" + clients}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	pg := &Postgres{home: home, sockets: sockets, password: password, log: log}
	err = pg.start(ctx, account, filepath.Join(binaries, "postgres"), args)
	if errors.Is(err, errPassword) {
		log.Info().Str("folder", home).Msg("setting the database's password")
		if err := givePassword(data); err != nil {
			return nil, errors.Join(err, os.RemoveAll(sockets))
		}
		err = pg.start(ctx, account, filepath.Join(binaries, "postgres"), args)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(sockets))
	}
	log.Info().Str("folder", home).Str("sockets", sockets).Int("pid", pg.Pid()).Msg("database is ready")
	return pg, nil
}

// start runs the server and waits until it accepts connections. After an error none runs.
func (p *Postgres) start(ctx context.Context, account account, program string, args []string) error {
	logFile, err := openLog(filepath.Join(p.home, "postgres.log"))
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	defer logFile.Close()
	cmd := account.command(program, args...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	p.process, err = process.Start(cmd, process.Options{
		// Immediate shutdown: no checkpoint is needed, and recovery at the next start is exact.
		DeathSignal: syscall.SIGQUIT,
		// Fast shutdown: it ends sessions, where SIGTERM would wait for them.
		StopSignal: syscall.SIGINT,
	})
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	if err := p.awaitReady(ctx); err != nil {
		err = errors.Join(err, p.process.Stop(context.WithoutCancel(ctx), postgresStop))
		return fmt.Errorf("the database did not start: %w; its log ends: %s", err, logTail(logFile.Name()))
	}
	return nil
}

// Folder is where the cluster and its log are kept; not always the requested folder.
func (p *Postgres) Folder() string { return p.home }

// URL returns a database's URL in the form that pgx takes, with the password.
func (p *Postgres) URL(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, p.password), Path: "/" + database,
		RawQuery: url.Values{"host": {p.sockets}}.Encode(),
	}
	return u.String()
}

// EnsureDatabase creates a database if it is missing.
func (p *Postgres) EnsureDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var there bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there)
	if err == nil && !there {
		_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	}
	if err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

// Pid is the server's process id.
func (p *Postgres) Pid() int { return p.process.Pid() }

// Done is closed when the server has ended, asked to or not.
func (p *Postgres) Done() <-chan struct{} { return p.process.Done() }

// Stop ends all sessions and then the server.
func (p *Postgres) Stop() error {
	if err := p.process.Stop(context.Background(), postgresStop); err != nil {
		return fmt.Errorf("stop the database: %w", err)
	}
	if err := os.Remove(p.sockets); err != nil {
		p.log.Warn().Err(err).Msg("the database's socket folder is left behind")
	}
	p.log.Info().Msg("database has stopped")
	return nil
}

func (p *Postgres) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, postgresStart)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, p.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		if isPasswordRefused(err) {
			return errPassword
		}
		select {
		case <-p.process.Done():
			return errors.New("it ended at once")
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(pollEvery):
		}
	}
}

// findPostgres returns the folder of the server's programs: of the version that made the cluster, or of the newest one for a
// new cluster.
func findPostgres(data string) (string, error) {
	const install = "install it with: sudo apt-get install --no-install-recommends postgresql"
	// The error of Glob is about its pattern only.
	folders, _ := filepath.Glob(distributionBinaries)
	slices.SortFunc(folders, func(a, b string) int { return cmp.Compare(major(b), major(a)) })
	if path, err := exec.LookPath("initdb"); err == nil {
		folders = append(folders, filepath.Dir(path))
	}
	folders = slices.DeleteFunc(folders, func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, "initdb"))
		return err != nil
	})
	version, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	switch {
	case errors.Is(err, fs.ErrNotExist) && len(folders) > 0:
		return folders[0], nil
	case errors.Is(err, fs.ErrNotExist):
		return "", errors.New("PostgreSQL is not installed; " + install)
	case err != nil:
		return "", fmt.Errorf("read the database's version: %w", err)
	}
	made := string(bytes.TrimSpace(version))
	for _, dir := range folders {
		if out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output(); err == nil &&
			strings.Contains(string(out)+" ", " "+made+".") {
			return dir, nil
		}
	}
	return "", fmt.Errorf("the database in %s was made by PostgreSQL %s, which is not installed; install it with: "+
		"sudo apt-get install --no-install-recommends postgresql-%s, or move the folder to start with an empty one", data, made, made)
}

// major is the version in a path of distributionBinaries.
func major(dir string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
	return n
}

// initCluster makes the cluster when there is none, and completes it with finish. It is made under another name and renamed, so
// that an interruption leaves nothing that looks like a cluster.
func initCluster(ctx context.Context, binaries, data string, account account, options []string, finish func(data string) error) error {
	if _, err := os.Stat(data); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	unfinished := data + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("remove an unfinished database: %w", err)
	}
	if err := account.mkdir(unfinished, 0o700); err != nil {
		return fmt.Errorf("make the database's folder: %w", err)
	}
	var out bytes.Buffer
	// Our own file (clients.conf) says who may connect; without it, no client may.
	args := []string{"-D", unfinished, "-U", superuser, "--auth=reject", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"}
	cmd := account.command(filepath.Join(binaries, "initdb"), append(args, options...)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	p, err := process.Start(cmd, process.Options{})
	if err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	stop := context.AfterFunc(ctx, p.Kill)
	defer stop()
	if err := p.Wait(); err != nil {
		return fmt.Errorf("make the database: %w: %s", errors.Join(ctx.Err(), err), bytes.TrimSpace(out.Bytes()))
	}
	if err := finish(unfinished); err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	if err := os.Rename(unfinished, data); err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	return nil
}

// awaitPredecessor waits for the server that a killed process of ours left in immediate shutdown. A pid file that names
// some other process, as after a restart of the machine or in a container, is removed: Postgres would take that process
// for a live server and refuse to start.
func awaitPredecessor(ctx context.Context, data string, log zerolog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, predecessorEnd)
	defer cancel()
	pidFile := filepath.Join(data, "postmaster.pid")
	for waiting := false; ; waiting = true {
		text, err := os.ReadFile(pidFile)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for a running database: %w", err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		pid, err := strconv.Atoi(strings.TrimPrefix(first, "-")) // negative for a single-user backend
		if err != nil || !serves(pid, data) {
			log.Warn().Str("folder", data).Msg("the database was not stopped properly; it recovers now")
			return os.Remove(pidFile)
		}
		if !waiting {
			log.Info().Int("pid", pid).Msg("waiting for the previous database server to end")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the database in %s is in use by the server with pid %d: stop the program that started it", data, pid)
		case <-time.After(pollEvery):
		}
	}
}

// serves reports whether pid is a Postgres of this data folder.
func serves(pid int, data string) bool {
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	args := strings.Split(string(cmdline), "\x00")
	return err == nil && filepath.Base(args[0]) == "postgres" && slices.Contains(args, data)
}

// account is the user that the server runs as.
type account struct {
	uid, gid int
	other    bool // not the user that we run as
}

func ourselves() account { return account{uid: os.Geteuid(), gid: os.Getegid()} }

// postgresAccount returns our own user or, for root, the first existing user that Postgres accepts.
func postgresAccount() (account, error) {
	if os.Geteuid() != 0 {
		return ourselves(), nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return account{}, fmt.Errorf("user %s: %w", name, err)
		}
		return account{uid: uid, gid: gid, other: true}, nil
	}
	return account{}, errors.New("Postgres does not run as root, and there is no user postgres or nobody to run it as; start this " +
		"program as an ordinary user")
}

// command prepares a program that runs as the account. It does not get our environment, as variables like PGDATA and PGPORT
// would affect the cluster.
func (a account) command(path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC"}
	if a.other {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}}
	}
	return cmd
}

// mkdir makes a folder owned by the account with this mode. An existing one must be the account's already and no more open: in
// a folder like /tmp any user may have put it there.
func (a account) mkdir(path string, mode fs.FileMode) error {
	err := os.Mkdir(path, 0o700)
	if err == nil {
		return errors.Join(os.Lchown(path, a.uid, a.gid), os.Chmod(path, mode))
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; !info.IsDir() || info.Mode().Perm()&^mode != 0 || int(owner) != a.uid {
		return fmt.Errorf("%s exists and is not a private folder of user %d: remove it", path, a.uid)
	}
	return nil
}

// reaches reports whether the account can enter dir, by trying: access lists and namespaces defy any calculation.
func (a account) reaches(dir string) bool {
	return !a.other || a.command("/usr/bin/test", "-x", dir).Run() == nil
}

// makeHome returns the folder for cluster and log: dir, or when the account cannot get there, one under /var/lib to which
// a link in dir leads. Removing dir to start afresh thus starts a new cluster too.
func makeHome(dir string, account account, log zerolog.Logger) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil || !account.other {
		return dir, err
	}
	// The folder stays ours, so that the account cannot swap the log that we write; it only has to pass through.
	const passable = 0o711
	if err := os.Chmod(dir, passable); err != nil {
		return "", err
	}
	if account.reaches(dir) {
		return dir, nil
	}
	link := filepath.Join(dir, "elsewhere")
	home, err := os.Readlink(link)
	if errors.Is(err, fs.ErrNotExist) {
		home = filepath.Join(rootClusters, rand.Text())
		err = errors.Join(os.MkdirAll(rootClusters, passable), os.Symlink(home, link))
	}
	if err != nil {
		return "", err
	}
	log.Warn().Str("wanted", dir).Str("folder", home).
		Msg("Postgres does not run as root, and the user it runs as cannot reach the data folder: the database is kept elsewhere")
	return home, ourselves().mkdir(home, passable)
}

// socketFolder makes the folder of the socket. Its path is short, because the kernel takes at most 107 bytes, and follows
// from that of the cluster, so that the next start reuses whatever a crash leaves behind.
func socketFolder(data string, account account) (string, error) {
	sum := sha256.Sum256([]byte(data))
	name := fmt.Sprintf("sumo-k8-%x", sum[:6])
	dir := filepath.Join(os.TempDir(), name)
	if len(filepath.Join(dir, ".s.PGSQL.5432")) > socketPathLimit || !account.reaches(os.TempDir()) {
		dir = filepath.Join("/tmp", name)
	}
	return dir, account.mkdir(dir, 0o700)
}
