//! The program in a real terminal, as a person sees it.

use std::io::{Read as _, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel, sync_channel};
use std::thread;
use std::time::Duration;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, SlavePty, native_pty_system};

use crate::support::{
    HEARS_HANG_UP, Home, Network, PASSPHRASE, PATIENCE, PROGRAM, deadline, finish, left,
    moment_after, signal,
};

/// Rows and columns of the terminal.
const SIZE: (u16, u16) = (30, 100);

/// The pause between two looks at a file.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Pieces of output that may wait to be looked at.
const PIECES: usize = 4_096;

/// A terminal with the program in it. The program is killed when this is dropped.
pub(crate) struct Terminal {
    master: Box<dyn MasterPty + Send>,
    slave: Option<Box<dyn SlavePty + Send>>,
    keys: Box<dyn Write + Send>,
    child: Option<Box<dyn Child + Send + Sync>>,
    pid: u32,
    pieces: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// Every byte the terminal was sent.
    raw: Vec<u8>,
    /// Line discipline as it was before.
    modes: String,
}

impl Terminal {
    pub(crate) fn open(home: &Home, args: &[&str]) -> Self {
        Self::open_by(&[], home, args)
    }

    /// The same, with the program run by this command.
    fn open_by(world: &[&str], home: &Home, args: &[&str]) -> Self {
        let size = PtySize { rows: SIZE.0, cols: SIZE.1, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let modes = format!("{:?}", pair.master.get_termios());
        let words = [world, &[PROGRAM], args].concat();
        let mut command = CommandBuilder::new(words[0]);
        command.args(&words[1..]);
        command.arg("--home");
        command.arg(home.path("home"));
        command.cwd(home.folder());
        // Before the command that runs the program, which may say something else.
        command.env("TERM", "xterm-256color");
        command.env("TZ", "UTC");
        for variable in ["NO_COLOR", "UNDERTONE_HOME", "UNDERTONE_PASSPHRASE_FILE"] {
            command.env_remove(variable);
        }
        let child = pair.slave.spawn_command(command).expect("a process");
        let mut reader = pair.master.try_clone_reader().expect("its output");
        let (sender, pieces) = sync_channel(PIECES);
        thread::spawn(move || {
            let mut piece = [0; 4_096];
            while let Ok(length @ 1..) = reader.read(&mut piece) {
                if sender.send(piece[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            keys: pair.master.take_writer().expect("its keyboard"),
            master: pair.master,
            slave: Some(pair.slave),
            pid: child.process_id().expect("its number"),
            child: Some(child),
            pieces,
            screen: vt100::Parser::new(SIZE.0, SIZE.1, 0),
            raw: Vec::new(),
            modes,
        }
    }

    fn contents(&self) -> String {
        self.screen.screen().contents()
    }

    fn take(&mut self, piece: &[u8]) {
        self.screen.process(piece);
        self.raw.extend_from_slice(piece);
    }

    /// Waits until the screen is as it should be.
    pub(crate) fn until(&mut self, what: &str, seen: impl Fn(&str) -> bool) {
        let until = deadline();
        while !seen(&self.contents()) {
            match self.pieces.recv_timeout(left(until)) {
                Ok(piece) => self.take(&piece),
                Err(error) => panic!("{error}; in vain for {what} on:\n{}", self.contents()),
            }
        }
    }

    /// Whether the screen is as it should be before so much time is over.
    fn shows_within(&mut self, wait: Duration, seen: impl Fn(&str) -> bool) -> bool {
        let until = moment_after(wait);
        while !seen(&self.contents()) {
            match self.pieces.recv_timeout(left(until)) {
                Ok(piece) => self.take(&piece),
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => panic!("it ended: {}", self.contents()),
            }
        }
        true
    }

    fn see(&mut self, text: &str) {
        self.until(text, |screen| screen.contains(text));
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("a key pressed");
        self.keys.flush().expect("a key pressed");
    }

    /// Types letter by letter, each when the one before can be seen, as hands do; `shown` is what
    /// a field looks like that holds so many letters.
    fn type_in(&mut self, text: &str, shown: impl Fn(&str) -> String) {
        for (at, letter) in text.char_indices() {
            self.press(letter.encode_utf8(&mut [0; 4]));
            self.see(&shown(&text[..at + letter.len_utf8()]));
        }
    }

    /// Says something in the composer.
    fn say(&mut self, text: &str) {
        self.type_in(text, |typed| format!("> {typed}"));
        self.press("\r");
    }

    /// Types a passphrase and presses Enter.
    fn pass(&mut self, passphrase: &str) {
        self.type_in(passphrase, |typed| format!("> {}", "*".repeat(typed.len())));
        self.press("\r");
    }

    /// Answers a prompt for a passphrase outside of the interface.
    fn answer(&mut self, prompt: &str, passphrase: &str) {
        self.see(prompt);
        // The prompt comes first, and then the terminal stops to echo what is typed.
        let until = deadline();
        while format!("{:?}", self.master.get_termios()) == self.modes {
            assert!(!left(until).is_zero(), "the terminal echoes what is typed");
            thread::yield_now();
        }
        self.type_in(passphrase, |typed| format!("{prompt} {}", "*".repeat(typed.len())));
        self.press("\r");
    }

    /// Waits for the end of the program; its exit code, and the terminal as it was left.
    fn end(mut self) -> (u32, Left) {
        let mut child = self.child.take().expect("a process");
        let (sender, ended) = channel();
        let waiting = thread::spawn(move || sender.send(child.wait()));
        let Ok(status) = ended.recv_timeout(PATIENCE) else {
            signal("KILL", self.pid);
            panic!("it does not end; it shows:\n{}", self.contents());
        };
        assert!(waiting.join().is_ok_and(|sent| sent.is_ok()));
        let modes = format!("{:?}", self.master.get_termios());
        // With its last end closed, the terminal's output has an end.
        drop(self.slave.take());
        let until = deadline();
        loop {
            match self.pieces.recv_timeout(left(until)) {
                Ok(piece) => self.take(&piece),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the terminal's output has no end"),
            }
        }
        let screen = self.screen.screen();
        let left = Left {
            alternate: screen.alternate_screen(),
            cursor_hidden: screen.hide_cursor(),
            bracketed_paste: screen.bracketed_paste(),
            contents: screen.contents(),
            modes_changed: modes != self.modes,
            raw: std::mem::take(&mut self.raw),
        };
        (status.expect("its end").exit_code(), left)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Who has ended by itself cannot be killed, and need not be.
            drop(child.kill());
        }
    }
}

/// A terminal after the program.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of a terminal")]
struct Left {
    alternate: bool,
    cursor_hidden: bool,
    bracketed_paste: bool,
    modes_changed: bool,
    contents: String,
    raw: Vec<u8>,
}

impl Left {
    fn is_as_before(&self) {
        assert!(!self.alternate, "the alternate screen is left");
        assert!(!self.cursor_hidden, "the cursor is shown");
        assert!(!self.bracketed_paste, "pastes come as they come");
        assert!(!self.modes_changed, "lines are edited and echoed by the terminal");
        assert!(self.sent("\u{1b}[?1007r"), "the wheel does what it did");
    }

    fn sent(&self, text: &str) -> bool {
        self.raw.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

#[test]
fn the_demonstration_answers_is_safe_from_nasty_text_and_leaves_the_terminal_as_it_was() {
    let home = Home::new();
    let mut terminal = Terminal::open(&home, &["demo"]);
    terminal.see("session ready");
    // Drawing everything again asks the terminal nothing it might not answer.
    terminal.press("\u{c}");
    terminal.say("hello");
    terminal.see("echo: hello");
    terminal.until("the mark of delivery", |screen| {
        screen.lines().any(|line| line.contains('\u{2713}') && line.contains("hello"))
    });
    terminal.say("nasty");
    terminal.see("gotcha");
    terminal.see("\u{2039}202E\u{203a}");
    terminal.press("\u{11}");
    let (code, left) = terminal.end();
    assert_eq!(code, 0);
    left.is_as_before();
    assert!(!left.contents.contains("hello"), "nothing of it stays on the screen");
    for text in ["\u{1b}]0;gotcha", "\u{1b}]", "\u{7}", "\u{202e}", "\u{202c}", "\u{200b}"] {
        assert!(!left.sent(text), "{text:?} reached the terminal");
    }
    assert!(!home.path("home").exists(), "nothing is kept");
}

#[test]
fn keys_that_arrive_together_are_no_paste_and_no_words_of_a_comparison_go_out() {
    let home = Home::new();
    let mut terminal = Terminal::open(&home, &["demo"]);
    terminal.see("session ready");
    terminal.press("ok\rhello\r");
    terminal.see("echo: hello");
    assert!(terminal.contents().contains("echo: ok"), "two messages");
    terminal.press("/verify\rok you first\r");
    terminal.see("nothing was compared");
    terminal.press("\u{1b}");
    terminal.until("the chat", |screen| !screen.contains("nothing was compared"));
    // Ctrl+J starts a line: what follows is no command, and is asked about.
    terminal.press("ok\n/verify\rcopper violin bridge\r");
    terminal.see("not the word send");
    terminal.press("\u{1b}");
    terminal.until("the composer", |screen| !screen.contains("not the word send"));
    terminal.press("\u{3}");
    terminal.until("no text", |screen| !screen.contains("/verify"));
    // The bytes by which a terminal begins and ends a paste (xterm, ctlseqs, DECSET 2004).
    terminal.press("\u{1b}[200~first\r/remove\u{1b}[201~\r");
    terminal.see("Send as text?");
    terminal.press("send\r");
    terminal.see("echo: first");
    terminal.press("bye\r");
    terminal.see("echo: bye");
    assert!(!terminal.contents().contains("copper"), "{}", terminal.contents());
}

#[test]
fn going_on_typing_removes_nobody_and_answers_no_question() {
    let home = Home::new();
    let mut terminal = Terminal::open(&home, &["demo"]);
    terminal.see("session ready");
    terminal.press("/remove\rok, you first\r");
    terminal.see("that is not the name; nothing was erased");
    terminal.press("\u{1b}");
    terminal.until("the chat", |screen| !screen.contains("that is not the name"));
    terminal.press("/readmarks on\ry");
    terminal.see("y yes  n no: send read marks to echo");
    // A program may press a key before it has been noted that the question can be seen.
    let until = deadline();
    let is_answered = |screen: &str| !screen.contains("y yes  n no");
    while !terminal.shows_within(Duration::from_millis(200), is_answered) {
        assert!(!left(until).is_zero(), "{}", terminal.contents());
        terminal.press("y");
    }
    terminal.press("\u{1b}OR");
    terminal.see("Read marks on");
}

#[test]
fn a_signal_ends_the_interface_and_leaves_the_terminal_as_it_was() {
    for (name, expected) in [("TERM", 143), ("INT", 130), ("HUP", 143)] {
        let home = Home::new();
        let mut terminal = Terminal::open_by(&HEARS_HANG_UP, &home, &["demo"]);
        terminal.see("session ready");
        signal(name, terminal.pid);
        let (code, left) = terminal.end();
        assert_eq!(code, expected, "SIG{name}");
        left.is_as_before();
    }
}

#[test]
fn a_terminal_that_goes_away_without_a_signal_ends_the_interface() {
    let home = Home::new();
    let code = home.path("code");
    // The leader of the terminal's session ignores the signal for its end, and nobody passes it on.
    let inner = format!("trap '' HUP; '{PROGRAM}' demo; echo $? > '{}'", code.display());
    // The words after it name a home, which a demonstration has none of.
    let world = ["sh", "-c", "exec script -qfc \"$0\" /dev/null", &inner];
    let mut terminal = Terminal::open_by(&world, &home, &[]);
    terminal.see("session ready");
    // It has the other end of the terminal.
    signal("KILL", terminal.pid);
    let until = deadline();
    let (_keep, never) = channel::<()>();
    loop {
        match std::fs::read_to_string(&code).unwrap_or_default().trim() {
            "" => assert!(!left(until).is_zero(), "it goes on without its terminal"),
            code => return assert_eq!(code, "143"),
        }
        assert_eq!(never.recv_timeout(LOOK_AGAIN), Err(RecvTimeoutError::Timeout));
    }
}

#[test]
fn a_terminal_without_a_size_is_waited_for_and_then_told_with_what_to_do() {
    let home = Home::new();
    let sized = |script: &str| format!("stty rows 0 cols 0; {script} exec \"$@\"");
    let never = sized("");
    let terminal = Terminal::open_by(&["sh", "-c", &never, "sh"], &home, &["demo"]);
    let (code, left) = terminal.end();
    assert_eq!(code, 1);
    assert!(left.contents.contains("stty rows 24 cols 80"), "{}", left.contents);
    assert!(!left.alternate && !left.modes_changed);
    // A container gives it a moment after the start.
    let late = sized("(sleep 0.5; stty rows 30 cols 100 < /dev/tty) &");
    let mut terminal = Terminal::open_by(&["sh", "-c", &late, "sh"], &home, &["demo"]);
    terminal.see("session ready");
}

#[test]
fn a_terminal_that_cannot_move_its_cursor_is_not_drawn_on() {
    let terminal = Terminal::open_by(&["env", "TERM=dumb"], &Home::new(), &["demo"]);
    let (code, left) = terminal.end();
    assert_eq!(code, 1);
    assert!(left.contents.contains("TERM is dumb"), "{}", left.contents);
    assert!(!left.sent("\u{1b}"), "{}", left.contents);
}

#[test]
fn a_first_run_makes_a_passphrase_and_an_identity_and_the_second_asks_for_it() {
    let home = Home::new();
    let network = Network::new();
    let mut terminal = Terminal::open(&home, &network.flags());
    terminal.see("> Save all, encrypted with a passphrase");
    terminal.press("\r");
    terminal.see("nobody can recover your data");
    terminal.pass("blue-heron-walks");
    terminal.see("Repeat the passphrase");
    terminal.pass("blue-heron-walks");
    terminal.see("Choose a name for it");
    terminal.say("nightjar");
    terminal.see("undertone  nightjar");
    terminal.press("\u{11}");
    let (code, left) = terminal.end();
    assert_eq!(code, 0);
    left.is_as_before();
    assert!(!left.sent("blue-heron"), "the passphrase is never shown");

    let mut terminal = Terminal::open(&home, &network.flags());
    terminal.see("Your identities are not shown");
    assert!(!terminal.contents().contains("nightjar"));
    terminal.pass("red-heron-walks");
    terminal.see("the passphrase is wrong");
    terminal.until("the next try", |screen| !screen.contains("Try again in"));
    terminal.pass("blue-heron-walks");
    terminal.see("undertone  nightjar");
    terminal.press("\u{11}");
    let (code, left) = terminal.end();
    assert_eq!(code, 0);
    left.is_as_before();
}

#[test]
fn an_interface_whose_terminal_takes_nothing_is_ended_by_a_signal_and_its_node_serves_until_then() {
    let (home, network) = (Home::new(), Network::new());
    home.identity("ann");
    let size = PtySize { rows: SIZE.0, cols: SIZE.1, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).expect("a terminal");
    let mut command = CommandBuilder::new(PROGRAM);
    command.args(network.flags());
    command.arg("--home");
    command.arg(home.path("home"));
    command.arg("--passphrase-file");
    command.arg(home.path("passphrase"));
    command.cwd(home.folder());
    command.env("TERM", "xterm-256color");
    let mut child = pair.slave.spawn_command(command).expect("a process");
    let pid = child.process_id().expect("its number");
    let mut keys = pair.master.take_writer().expect("its keyboard");
    while home.ask(&["status"])["running"] != true {}
    // More pictures than a terminal holds that nobody looks at: each is drawn before the next key.
    for _ in 0..40 {
        keys.write_all(b"\x0c").expect("a key pressed");
        assert_eq!(home.ask(&["status"])["running"], true);
    }
    signal("TERM", pid);
    let (sender, ended) = channel();
    thread::spawn(move || sender.send(child.wait()));
    let Ok(status) = ended.recv_timeout(PATIENCE) else {
        signal("KILL", pid);
        panic!("SIGTERM did not end it");
    };
    assert_eq!(status.expect("its end").exit_code(), 143);
    drop(pair);
}

#[test]
fn a_passphrase_is_changed_where_the_old_one_is_right_and_the_new_one_is_typed_twice_alike() {
    const NEW: &str = "blue-heron";
    let home = Home::new();
    home.identity("ann");
    let change = |answers: &[(&str, &str)]| {
        let mut terminal = Terminal::open(&home, &["passphrase", "change"]);
        for (prompt, passphrase) in answers {
            terminal.answer(prompt, passphrase);
        }
        let (code, left) = terminal.end();
        assert!(!left.modes_changed && !left.sent(NEW), "{}", left.contents);
        (code, left)
    };
    let (old, new, again) = ("Old passphrase:", "New passphrase:", "Repeat the passphrase:");
    // A slip in the old one is told before a new one is asked for.
    let (code, left) = change(&[(old, "wrong")]);
    assert!(code == 4 && left.contents.contains("the passphrase was not changed [locked]"));
    assert!(!left.sent(new));
    let (code, left) = change(&[(old, PASSPHRASE), (new, NEW), (again, "blue-herring")]);
    assert!(code == 4 && left.contents.contains("the two passphrases do not match"));
    let (code, left) = change(&[(old, PASSPHRASE), (new, NEW), (again, NEW)]);
    assert!(code == 0 && left.contents.contains("passphrase changed"), "{}", left.contents);
    assert!(!left.contents.contains("still gives the old one"));
    assert_eq!(home.run(&["identity", "list"]).status.code(), Some(4));
    home.write_secret("passphrase", NEW);
    home.ask(&["identity", "list"]);
}

#[test]
fn the_demonstration_checks_itself_without_a_terminal() {
    let home = Home::new();
    let output = finish(home.bare(&["demo", "--check"]), "");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.lines().count() >= 8 && text.lines().all(|line| line.starts_with("ok  ")),
        "{text}"
    );
    assert!(!home.path("home").exists(), "nothing is kept");
}
