//! Attacks that nobody had tried when the door was built.

use core::net::Ipv4Addr;
use core::ops::Range;
use core::time::Duration;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use undertone::engine::env::UnixSeconds;
use undertone::engine::envelope::{Draft, Floor, Lifetime, Topic, WorkNonce, work};
use undertone::engine::id::{OutgoingId, SyncRequestId};
use undertone::engine::node::input::Input;
use undertone::engine::price::Step;
use undertone::engine::sync::wire::{MAX_SKETCH, SyncRequest};
use undertone::shell::net::{NetEvent, PublishOutcome};
use undertone::shell::os::clock::wall;
use undertone::sim::SeededRng;

use super::attacker::{Attacker, Part, field, open_streams};
use super::door::pour_expired;
use super::forward::{Forward, socket};
use super::{
    FLOOD, FLOOR, MINUTE, PROGRAM, Relay, Talk, Target, besiege, besiege_this, bring, control,
    crowd, deaf, envelope, node,
};

/// Fifty that join, read for five seconds, and then nothing more: windows of yamux and buffers of
/// the system are as open as they get.
#[test]
fn readers_that_stop() {
    besiege("50 links that stop reading after 5 s", 2 * MINUTE, async |target| {
        let tires = |target: Target| async move {
            Attacker::tiring(&target.tcp, FLOOD, Duration::from_secs(5)).parted().await;
        };
        let bring = bring(&target, 60_000, Duration::from_millis(20));
        tokio::join!(crowd(&target, 50, tires), bring);
    });
}

/// Links that ask for protocols without end before anybody has shown a key. Nothing of it is read again.
#[test]
fn protocols_without_end() {
    besiege("120 links that ask for protocols without end", MINUTE, async |target| {
        let ask = |target: Target| async move {
            let Ok(mut link) = TcpStream::connect(socket(&target.tcp)).await else { return };
            let mut pace = interval(Duration::from_millis(100));
            let mut said = link.write_all(b"\x13/multistream/1.0.0\n").await;
            while said.is_ok() {
                pace.tick().await;
                said = link.write_all(&b"\x03/x\n".repeat(250)).await;
            }
        };
        crowd(&target, 120, ask).await;
    });
}

/// Links that open streams and reset them at once: 24 bytes each time. One alone made everybody else wait for
/// as long as it went on.
#[test]
fn streams_without_end() {
    besiege("16 links that open streams without end", MINUTE, async |target| {
        let open = |target: Target| async move {
            // Its end, or that it was cut off: both are an end.
            open_streams(socket(&target.tcp)).await;
        };
        crowd(&target, 16, open).await;
    });
}

/// Ids of IDONTWANT from links that never read, so that there are queues in which to look for them.
#[test]
fn idontwant_against_full_queues() {
    besiege("50 links that never read, and write 7,000 ids a frame", MINUTE, async |target| {
        let attack = |target: Target| async move {
            let mut attacker = Attacker::deaf(&target.tcp, FLOOD);
            attacker.flow(control(&field(5, &field(1, &[7; 32]).repeat(7_000)))).await;
        };
        let bring = bring(&target, 60_000, Duration::from_millis(20));
        tokio::join!(crowd(&target, 50, attack), bring);
    });
}

/// Sixteen neighbours that catch up with random sketches, over and over, at a relay that holds
/// thousands.
#[test]
fn sketches_against_a_full_pool() {
    let relay = Relay::with(Command::new(PROGRAM), &["--pool", "64MiB", "--line", "5000"]);
    fill(&relay.target);
    besiege_this(
        &relay,
        "16 links with random sketches, 17,500 held",
        3 * MINUTE,
        async |target| {
            let mut crowd = JoinSet::new();
            for number in 0..16 {
                let way =
                    Forward::tcp(Ipv4Addr::new(127, 20 + number, 0, 1), socket(&target.tcp)).await;
                crowd.spawn(sketches(way, target.clone(), number));
            }
            while crowd.join_next().await.is_some() {}
        },
    );
}

/// Holds as much as a share of a day takes below its last steps.
fn fill(target: &Target) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let (mut author, mut chance) = (node(&target.tcp), SeededRng::lane(22, 0));
        for number in 0..17_500 {
            let step = if number < 14_000 { 0 } else { 4 };
            let (_, bytes) = envelope(&mut chance, 300, step);
            while author.publish(bytes.clone()) != PublishOutcome::Sent {
                drop(author.next().await);
            }
            // What goes out goes out by this.
            drop(tokio::time::timeout(Duration::from_millis(1), author.next()).await);
        }
    });
}

async fn sketches(way: Forward, target: Target, number: u8) {
    let (mut net, mut chance) = (node(&way.at), SeededRng::lane(23, number.into()));
    let mut relay = None;
    let mut random = || {
        let mut cells = vec![0; MAX_SKETCH];
        chance.fill_bytes(&mut cells);
        SyncRequest::Sketch(&cells).encode()
    };
    loop {
        match net.next().await {
            NetEvent::Engine(Input::Peers(peers)) => {
                if let Some(peer) = peers.first()
                    && relay.replace(peer.id) != Some(peer.id)
                {
                    net.sync_request(peer.id, SyncRequestId(0), SyncRequest::Begin.encode());
                }
            }
            NetEvent::Engine(Input::SyncResponse { bytes, .. }) => {
                let Some(relay) = relay else { continue };
                match bytes.as_deref().and_then(|bytes| bytes.first().copied()) {
                    // A query, or not enough cells yet.
                    Some(1 | 4) => {
                        target.brought.fetch_add(1, Ordering::Relaxed);
                        net.sync_request(relay, SyncRequestId(1), random());
                    }
                    Some(_) | None => {
                        sleep(Duration::from_millis(100)).await;
                        net.sync_request(relay, SyncRequestId(0), SyncRequest::Begin.encode());
                    }
                }
            }
            event => Talk::default().take(&mut net, event),
        }
    }
}

/// A million expired envelopes, each of which shows the work that is asked, over as many links as
/// that takes.
#[test]
fn a_million_expired_envelopes_with_work() {
    const ALL: u64 = 1_000_000;
    let made = UnixSeconds(wall().0 - 2 * 86_400);
    // Their work is done before, or the strangers would wait for this machine's cores.
    let halves = [0..ALL / 2, ALL / 2..ALL];
    let works = std::thread::scope(|scope| {
        let work = |numbers: Range<u64>| {
            scope.spawn(move || numbers.map(|number| work_for(made, number)).collect::<Vec<_>>())
        };
        halves.map(work).map(|half| half.join().expect("all of them")).concat()
    });
    let works: Arc<[WorkNonce]> = works.into();
    besiege("a million expired envelopes that paid", 10 * MINUTE, async |target| {
        let bring = |target: Target| {
            let works = Arc::clone(&works);
            async move {
                let mut link = Attacker::new(&target.tcp, FLOOD);
                let next = || {
                    let first = target.brought.fetch_add(50, Ordering::Relaxed);
                    let paid = |number: u64| {
                        let at = usize::try_from(number).expect("a place");
                        let nonce = works.get(at).copied().unwrap_or(WorkNonce(0));
                        expired_draft(made, number).finish(nonce).1
                    };
                    let part = |number| Part::Message(FLOOD.to_owned(), paid(number));
                    (first..first + 50).map(part).collect()
                };
                link.stream(Duration::from_millis(50), next).await;
            }
        };
        tokio::select! {
            () = crowd(&target, 16, bring) => {}
            () = until(&target, ALL) => {}
        }
        assert!(target.brought.load(Ordering::Relaxed) >= ALL);
    });
}

/// Until attackers have brought so many envelopes.
async fn until(target: &Target, all: u64) {
    while target.brought.load(Ordering::Relaxed) < all {
        sleep(Duration::from_millis(100)).await;
    }
}

/// What is to be in an envelope that expired a day ago.
fn expired_draft(made: UnixSeconds, number: u64) -> Draft {
    let data = number.to_be_bytes().to_vec();
    Draft::new(made, Lifetime::SixHours, Topic([7; 4]), data).expect("a draft")
}

/// The nonce with which it shows the work that is asked.
fn work_for(made: UnixSeconds, number: u64) -> WorkNonce {
    let price = (Floor::new(FLOOR), Step::default());
    let job = expired_draft(made, number).mining_job(OutgoingId(0), price, 0);
    work::search(&job, WorkNonce(0), u64::MAX).expect("some nonce")
}

/// A relay with an archive on a disk that takes two seconds for each sync and a twentieth of one for
/// each write.
#[test]
fn a_slow_disk_under_an_archive() {
    let is_there = Command::new("strace").arg("--version").output().is_ok();
    if !is_there {
        println!(
            "a slow disk was not tried: it is strace that makes it slow, and there is none here"
        );
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let mut program = Command::new("strace");
    // As its own parent's child, so that the process that is started is the program.
    program.args(["-D", "-f", "--seccomp-bpf", "-qqq", "-o", "/dev/null"]);
    program.args(["-e", "trace=fsync,fdatasync,pwrite64"]);
    program.args(["-e", "inject=fsync,fdatasync:delay_enter=2000000"]);
    program.args(["-e", "inject=pwrite64:delay_enter=50000"]);
    program.arg(PROGRAM).arg("--home").arg(home.path().join("home"));
    let relay = Relay::with(program, &["--archive", "64MiB", "--line", "200"]);
    besiege_this(&relay, "100 envelopes a second into a slow disk", 2 * MINUTE, async |target| {
        bring(&target, 1_000, Duration::from_millis(10)).await;
    });
}

/// libp2p's mDNS is asked for IPv4 alone, so a relay with `--lan` has no IPv6 socket at the port of
/// mDNS.
#[test]
fn nobody_listens_to_ipv6_multicast() {
    let relay = Relay::with(Command::new(PROGRAM), &["--pool", "64MiB", "--lan"]);
    let sockets = |table: &str| {
        let table = format!("/proc/{}/net/{table}", relay.process.id());
        let table = std::fs::read_to_string(table).expect("its sockets");
        let mdns =
            |line: &&str| line.split_whitespace().nth(1).is_some_and(|at| at.ends_with(":14E9"));
        let inodes = table.lines().filter(mdns).filter_map(|line| line.split_whitespace().nth(9));
        inodes.map(|inode| format!("socket:[{inode}]")).collect::<Vec<_>>()
    };
    let open = std::fs::read_dir(format!("/proc/{}/fd", relay.process.id())).expect("its files");
    let open: Vec<String> = open
        .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
        .map(|to| to.to_string_lossy().into_owned())
        .collect();
    let own = |table| sockets(table).iter().filter(|socket| open.contains(socket)).count();
    let (four, six) = (own("udp"), own("udp6"));
    println!("sockets of mDNS: {four} of IPv4, {six} of IPv6");
    assert!(four > 0 && six == 0);
}

/// Rows 1, 13 and 14 at once for an hour, each at a tenth of its rate.
#[test]
#[ignore = "an hour"]
fn an_hour_at_a_tenth() {
    let minutes = std::env::var("SIEGE_MINUTES").ok().and_then(|minutes| minutes.parse().ok());
    let lasts = MINUTE * minutes.unwrap_or(60);
    // So small that what it holds does not hide what would grow with those who left.
    let relay = Relay::with(Command::new(PROGRAM), &["--pool", "8MiB"]);
    besiege_this(&relay, "an hour of 3 + 5 + 2 links at a tenth", lasts, async |target| {
        // 250 KB a third of a second: a tenth of 8 MB/s. Who is parted with comes no sooner again.
        let each = Duration::from_millis(310);
        let empty = move |target: Target| async move {
            sleep(each).await;
            let mut attacker = Attacker::new(&target.tcp, FLOOD);
            let entries = || vec![Part::Raw(field(3, &field(5, &[]).repeat(125_000)))];
            attacker.stream(each, entries).await;
        };
        let expired = |target: Target| async move {
            let each = Duration::from_millis(13);
            sleep(each).await;
            pour_expired(target, each).await;
        };
        tokio::join!(
            crowd(&target, 3, expired),
            crowd(&target, 5, deaf),
            crowd(&target, 2, empty),
            bring(&target, 60_000, Duration::from_millis(200)),
        );
    });
}
