//! Somebody who does not read what a process prints: it goes on with whatever others wait for, and it can
//! be ended.

use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_setfl};

use crate::ends::{Two, wait_for_delivery};
use crate::support::{Home, Network, PATIENCE, left, moment_after, parse, signal};

/// Far above what a command takes that nobody holds up; less than it waits for a home that another
/// process holds.
const SOON: Duration = Duration::from_secs(12);

/// A pipe that is full, and its end that is not read.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    fcntl_setfl(&writer, OFlags::NONBLOCK).expect("a flag");
    // A part of a page, so that no room is left for less.
    while matches!(writer.write(&[b'\n'; 512]), Ok(1..)) {}
    fcntl_setfl(&writer, OFlags::empty()).expect("a flag");
    (reader, writer)
}

/// A process whose output is somewhere else. Killed when dropped.
struct Process(Option<Child>);

impl Process {
    fn start(mut command: Command, stdout: PipeWriter, stderr: Stdio) -> Self {
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        Self(Some(command.spawn().expect("a process")))
    }

    fn pid(&self) -> u32 {
        self.0.as_ref().expect("a process").id()
    }

    /// Sends it a signal and waits for its end; its exit code.
    fn end(mut self, name: &str) -> Option<i32> {
        signal(name, self.pid());
        let mut child = self.0.take().expect("a process");
        let pid = child.id();
        let (sender, ended) = channel();
        thread::spawn(move || sender.send(child.wait()));
        let Ok(status) = ended.recv_timeout(PATIENCE) else {
            signal("KILL", pid);
            panic!("SIG{name} did not end it");
        };
        status.expect("its end").code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

#[test]
fn a_listener_whose_reader_pauses_acknowledges_answers_commands_and_prints_everything_later() {
    let two = Two::new();
    let (reader, writer) = full_pipe();
    let mut command = two.ben.command(&["listen", "--json", "--states", "--peer", &two.address]);
    command.args(two.network.flags());
    let at_ben = Process::start(command, writer, Stdio::null());
    let at_ann = two.listen(&two.ann, &[]);
    at_ann.wait_for_session();
    for number in 0..3 {
        two.say(&format!("number {number}"));
        wait_for_delivery(&at_ann);
    }
    let until = moment_after(SOON);
    assert_eq!(two.ben.ask(&["status"])["running"], true);
    assert_eq!(
        two.ben.run(&["history", "ann", "--json"]).stdout.split(|byte| *byte == b'\n').count(),
        4
    );
    assert!(!left(until).is_zero(), "a command was held up");
    let lines = BufReader::new(reader).lines().map(|line| line.expect("a line"));
    let lines = lines.filter(|line| !line.is_empty()).map(|line| parse(line.as_bytes()));
    let texts = lines.filter_map(|line| line["text"].as_str().map(str::to_owned));
    let mut texts = texts.fuse();
    let printed: Vec<String> = texts.by_ref().take(3).collect();
    assert_eq!(printed, ["number 0", "number 1", "number 2"]);
    assert_eq!(at_ben.end("TERM"), Some(143));
}

#[test]
fn a_process_whose_output_nobody_takes_is_ended_by_a_signal_and_serves_until_then() {
    let (home, relays, network) = (Home::new(), Home::new(), Network::new());
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().expect("bound").port());
    drop(taken);
    // Messages go the same way, as in `2>&1`.
    let start = |mut command: Command| {
        command.args(network.flags());
        let (reader, writer) = full_pipe();
        let messages = writer.try_clone().expect("a pipe");
        (reader, Process::start(command, writer, messages.into()))
    };
    let relay = ["relay", "run", "--json", "--pool", "64MiB", "--listen", &address];
    let (_unread, relay) = start(relays.bare(&relay));
    home.identity("ann");
    for json in [&["--json"][..], &[]] {
        let listen = [&["listen", "--peer", &address][..], json].concat();
        let (_unread, listen) = start(home.command(&listen));
        while home.ask(&["status"])["running"] != true {}
        home.wait_until_ready();
        assert_eq!(listen.end("TERM"), Some(143));
    }
    assert_eq!(relay.end("TERM"), Some(14), "its lines were not written");
}

#[test]
fn an_export_whose_reader_pauses_leaves_the_home_to_other_commands() {
    let home = Home::new();
    home.identity("ann");
    let other = Home::new().identity("ben").invite;
    home.ask(&["contact", "add", &other, "--name", "ben"]);
    let network = Network::new();
    for text in ["hello", "are you there", "I wait"] {
        let send = ["send", "ben", text, "--wait", "queued"];
        home.ask(&[&send[..], &network.flags()].concat());
    }
    let (reader, writer) = full_pipe();
    let export = Process::start(home.command(&["export", "-", "--all"]), writer, Stdio::null());
    // It has read its part by the second time.
    for _ in 0..3 {
        let until = moment_after(SOON);
        assert_eq!(home.ask(&["contact", "list"])[0]["name"], "ben");
        assert!(!left(until).is_zero(), "a command was held up");
    }
    let mut lines = BufReader::new(reader).lines().map(|line| line.expect("a line"));
    let message = lines.find(|line| !line.is_empty()).expect("a message");
    assert_eq!(parse(message.as_bytes())["text"], "hello");
    drop(export);
}
