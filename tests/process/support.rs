//! Homes, processes in them, and waiting for what those print.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The program that is tested.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone");

/// The passphrase of every home.
pub(crate) const PASSPHRASE: &str = "correct horse battery staple";

/// Far above anything that is waited for on an idle machine: eight mean reply delays and a resend.
pub(crate) const PATIENCE: Duration = Duration::from_secs(150);

/// Lines a process may be ahead of its test.
const LINES: usize = 1 << 16;

/// A word nobody else has chosen, for names that must not meet and texts that are searched for.
pub(crate) fn unique(kind: &str) -> String {
    format!("{kind}-{:016x}", RandomState::new().build_hasher().finish())
}

/// The moment a wait that begins at this moment is given up.
pub(crate) fn deadline() -> Instant {
    moment_after(PATIENCE)
}

/// The moment that comes after so long.
pub(crate) fn moment_after(span: Duration) -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a deadline for real processes is in real time")]
    let now = Instant::now();
    now + span
}

/// How long it is until a moment.
pub(crate) fn left(until: Instant) -> Duration {
    #[expect(clippy::disallowed_methods, reason = "a deadline for real processes is in real time")]
    let now = Instant::now();
    until.saturating_duration_since(now)
}

/// A private network, known by its name and its floor.
#[derive(Clone, Debug)]
pub(crate) struct Network(String);

impl Network {
    pub(crate) fn new() -> Self {
        Self(unique("t"))
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// The flags by which a process joins it. The floor asks for hardly any work.
    pub(crate) fn flags(&self) -> [&str; 4] {
        ["--network", &self.0, "--floor", "4"]
    }
}

/// A folder with a home, its passphrase and whatever its processes leave.
#[derive(Debug)]
pub(crate) struct Home {
    folder: TempDir,
    ledger: Option<PathBuf>,
    /// Who runs its processes, if they see other disks than we do.
    world: Vec<String>,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Self { folder, ledger: None, world: Vec::new() };
        home.write_secret("passphrase", PASSPHRASE);
        home
    }

    /// A home whose nodes write down every (key, nonce) pair they encrypt with.
    pub(crate) fn with_ledger() -> Self {
        let mut home = Self::new();
        home.ledger = Some(home.path("ledger"));
        home
    }

    /// A home whose processes are run by this command.
    pub(crate) fn run_by(mut self, world: &[&str]) -> Self {
        self.world = world.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// What the nodes of this home wrote down.
    pub(crate) fn ledger(&self) -> Vec<String> {
        let path = self.ledger.as_ref().expect("a ledger");
        fs::read_to_string(path).expect("lines").lines().map(str::to_owned).collect()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file nobody else may read.
    pub(crate) fn write_secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("made private");
        path
    }

    /// The program in this home and nothing of ours around it.
    pub(crate) fn bare(&self, args: &[&str]) -> Command {
        let words = [self.world.iter().map(String::as_str).collect(), vec![PROGRAM]].concat();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .args(args)
            .arg("--home")
            .arg(self.path("home"))
            .current_dir(self.folder.path())
            .env_remove("UNDERTONE_HOME")
            .env_remove("UNDERTONE_IDENTITY")
            .env_remove("UNDERTONE_PASSPHRASE_FILE")
            .env_remove("UNDERTONE_NONCE_LEDGER")
            .env("HOME", self.folder.path())
            .env("TZ", "UTC");
        if let Some(ledger) = &self.ledger {
            command.env("UNDERTONE_NONCE_LEDGER", ledger);
        }
        command
    }

    /// The program in this home with its passphrase, not to ask anything.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.bare(args);
        command.arg("--no-input").arg("--passphrase-file").arg(self.path("passphrase"));
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        finish(self.command(args), "")
    }

    /// Runs a command that must succeed; its answer.
    pub(crate) fn ask(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        let answer = parse(&output.stdout);
        assert_eq!(answer["ok"], true, "{args:?}: {answer}");
        assert_documented(&answer);
        answer["data"].clone()
    }

    /// Makes an identity; its invite.
    pub(crate) fn identity(&self, name: &str) -> Invite {
        let made = self.ask(&["identity", "new", name]);
        let text = |field: &str| made[field].as_str().expect("a text").to_owned();
        Invite { invite: text("invite"), key: text("key") }
    }

    /// Starts a node that prints what arrives.
    pub(crate) fn listen(&self, network: &Network, relay: &str, more: &[&str]) -> Running {
        self.listen_until(network, relay, more, None)
    }

    /// The same, killed when it has told of so many states of its messages.
    pub(crate) fn listen_until(
        &self,
        network: &Network,
        relay: &str,
        more: &[&str],
        states: Option<usize>,
    ) -> Running {
        let mut command = self.command(&["listen", "--peer", relay]);
        command.args(network.flags()).args(more);
        Running::start(command, &self.path("errors"), states)
    }

    /// Waits until the node that runs here has a neighbour, for one that prints nothing of it.
    pub(crate) fn wait_until_ready(&self) {
        let until = deadline();
        while self.ask(&["status"])["ready"] != true {
            assert!(!left(until).is_zero(), "the node did not find its neighbour");
        }
    }

    /// Starts a relay that holds what it has in memory, however much of that is free; with the
    /// address it tells.
    pub(crate) fn relay(
        &self,
        network: &Network,
        listen: &str,
        more: &[&str],
    ) -> (Running, String) {
        let mut command = self.bare(&["relay", "run", "--pool", "64MiB", "--listen", listen]);
        command.args(network.flags()).args(more);
        let relay = Running::start(command, &self.path("errors"), None);
        let address = relay.wait_for("the relay's address", |line| {
            line.strip_prefix("listening on ").map(str::to_owned)
        });
        (relay, address)
    }
}

/// What others know of an identity.
#[derive(Clone, Debug)]
pub(crate) struct Invite {
    pub(crate) invite: String,
    /// 66 hexadecimal digits.
    pub(crate) key: String,
}

/// One line of JSON, in ASCII alone.
pub(crate) fn parse(line: &[u8]) -> Value {
    let shown = String::from_utf8_lossy(line);
    let body = line.strip_suffix(b"\n").unwrap_or(line);
    assert!(body.iter().all(|byte| (b' '..=b'~').contains(byte)), "not one ASCII line: {shown}");
    serde_json::from_slice(body).unwrap_or_else(|error| panic!("{error}: {shown}"))
}

/// Fails unless the tables of README.md name every field of what the program printed: so no line
/// of any command that a test looks at has a field that nobody can look up.
pub(crate) fn assert_documented(printed: &Value) {
    match printed {
        Value::Array(all) => all.iter().for_each(assert_documented),
        Value::Object(fields) => {
            for (name, value) in fields {
                assert!(
                    documented().contains(name.as_str()),
                    "{name} is not in README.md: {printed}"
                );
                assert_documented(value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What stands between backquotes in the tables of fields.
fn documented() -> &'static BTreeSet<&'static str> {
    static NAMES: OnceLock<BTreeSet<&str>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let tables = include_str!("../../README.md").split("\n\n");
        let tables = tables.filter(|table| table.starts_with("| field of "));
        tables.flat_map(|table| table.split('`').skip(1).step_by(2)).collect()
    })
}

/// Runs a command that hears SIGHUP, also where the tests themselves are run by `nohup`.
pub(crate) const HEARS_HANG_UP: [&str; 2] = ["env", "--default-signal=HUP"];

/// Runs a command to its end with this on its standard input.
pub(crate) fn finish(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a process");
    let pid = child.id();
    let mut stdin = child.stdin.take().expect("its input");
    // Who does not want to read is free to end.
    drop(stdin.write_all(input.as_bytes()));
    drop(stdin);
    let (sender, ended) = channel();
    let waiting = thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(PATIENCE) else {
        signal("KILL", pid);
        panic!("it did not end: {command:?}");
    };
    assert!(waiting.join().is_ok_and(|sent| sent.is_ok()));
    output.expect("its output")
}

/// Sends a signal to a process we started.
pub(crate) fn signal(name: &str, pid: u32) {
    let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status();
    assert!(sent.expect("a shell").success(), "no process takes SIG{name}");
}

/// A process that runs, and what it prints. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Arc<Mutex<Child>>,
    pid: u32,
    lines: Receiver<Vec<u8>>,
    errors: PathBuf,
}

impl Running {
    /// Starts it; `states` is how many states of messages it may tell before it is killed.
    pub(crate) fn start(mut command: Command, errors: &Path, states: Option<usize>) -> Self {
        let log = fs::OpenOptions::new().create(true).append(true).open(errors).expect("a file");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().expect("a process");
        let pid = child.id();
        let stdout = child.stdout.take().expect("its output");
        let child = Arc::new(Mutex::new(child));
        let (sender, lines) = sync_channel(LINES);
        let reader = Reader { child: Arc::clone(&child), sender, states };
        thread::spawn(move || reader.read(BufReader::new(stdout)));
        Self { child, pid, lines, errors: errors.to_owned() }
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    /// The next line, as it came; nothing when there is no more.
    pub(crate) fn next_line(&self, until: Instant) -> Option<Vec<u8>> {
        match self.lines.recv_timeout(left(until)) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("no line came in time; it said: {}", self.errors())
            }
        }
    }

    /// Waits for the line that `pick` wants.
    pub(crate) fn wait_for<T>(&self, what: &str, mut pick: impl FnMut(&str) -> Option<T>) -> T {
        let until = deadline();
        let mut seen = Vec::new();
        loop {
            if left(until).is_zero() {
                panic!("waited in vain for {what}; lines: {seen:#?}; it said: {}", self.errors());
            }
            match self.lines.recv_timeout(left(until)) {
                Ok(line) => {
                    let line = String::from_utf8(line).expect("UTF-8");
                    let line = line.trim_end();
                    if let Some(found) = pick(line) {
                        return found;
                    }
                    seen.push(line.to_owned());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended before {what}; lines: {seen:#?}; it said: {}", self.errors())
                }
            }
        }
    }

    /// Waits for a line of JSON that `pick` wants.
    pub(crate) fn wait_for_json<T>(
        &self,
        what: &str,
        mut pick: impl FnMut(&Value) -> Option<T>,
    ) -> T {
        self.wait_for(what, |line| {
            let line = parse(line.as_bytes());
            assert_documented(&line);
            pick(&line)
        })
    }

    /// Waits until it has a neighbour.
    pub(crate) fn wait_for_neighbour(&self) {
        self.wait_for_json("a neighbour", |line| {
            (line["type"] == "network" && line["peers"] != 0).then_some(())
        });
    }

    /// Waits until a session with a contact is ready.
    pub(crate) fn wait_for_session(&self) {
        self.wait_for_json("a session", |line| (line["session"] == "session ready").then_some(()));
    }

    /// The next `count` messages that arrive: numbers and texts.
    pub(crate) fn messages(&self, count: usize) -> Vec<(u64, String)> {
        let message = |line: &Value| {
            let text = line["text"].as_str()?;
            Some((line["number"].as_u64()?, text.to_owned()))
        };
        let mut shown: Vec<(u64, String)> = Vec::new();
        while shown.len() < count {
            let numbers: Vec<u64> = shown.iter().map(|(number, _)| *number).collect();
            let what = format!("one of {count} messages, after those numbered {numbers:?}");
            shown.push(self.wait_for_json(&what, message));
        }
        shown
    }

    /// Ends it as a power cut would, at this moment, unless what is answered is dropped before.
    pub(crate) fn kill_at(&self, moment: Instant) -> Fuse {
        let (leash, cut) = channel::<()>();
        let child = Arc::clone(&self.child);
        thread::spawn(move || {
            // Nothing is ever sent: either the moment comes, or the leash is dropped.
            if cut.recv_timeout(left(moment)) == Err(RecvTimeoutError::Timeout) {
                kill(&child);
            }
        });
        Fuse { _leash: leash }
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&self) {
        kill(&self.child);
    }

    /// Sends it a signal and waits for its end; its exit code.
    pub(crate) fn end(&self, name: &str) -> Option<i32> {
        signal(name, self.pid);
        self.ended()
    }

    /// Waits for its end; its exit code, if no signal ended it.
    pub(crate) fn ended(&self) -> Option<i32> {
        let until = deadline();
        while self.next_line(until).is_some() {}
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.wait().expect("its end").code()
    }

    /// Waits for its end; its exit code and the last line of JSON it printed.
    pub(crate) fn last_line(&self) -> (Option<i32>, Value) {
        let until = deadline();
        let last = std::iter::from_fn(|| self.next_line(until)).last().expect("a line");
        let last = parse(&last);
        assert_documented(&last);
        (self.ended(), last)
    }

    /// Whether it has told all it will ever tell. Lines that were not read yet are dropped.
    pub(crate) fn has_ended(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.try_wait().expect("its state").is_some()
    }

    /// What it wrote to standard error.
    pub(crate) fn errors(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }
}

/// A kill that is to come.
#[derive(Debug)]
pub(crate) struct Fuse {
    _leash: Sender<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        drop(child.wait());
    }
}

fn kill(child: &Mutex<Child>) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    // Who has ended by itself cannot be killed, and need not be.
    drop(child.kill());
}

/// Reads what a process prints, and kills it at the line that was asked for.
struct Reader {
    child: Arc<Mutex<Child>>,
    sender: SyncSender<Vec<u8>>,
    states: Option<usize>,
}

impl Reader {
    fn read(mut self, mut stdout: impl std::io::BufRead) {
        loop {
            let mut line = Vec::new();
            if !matches!(stdout.read_until(b'\n', &mut line), Ok(1..)) {
                return;
            }
            if let Some(states) = &mut self.states
                && String::from_utf8_lossy(&line).contains(r#""type":"state""#)
            {
                *states = states.saturating_sub(1);
                if *states == 0 {
                    kill(&self.child);
                }
            }
            if self.sender.send(line).is_err() {
                return;
            }
        }
    }
}
