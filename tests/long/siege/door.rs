//! What costs an attacker nothing but links, or bytes without work.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use undertone::engine::env::{Seconds, UnixSeconds};
use undertone::engine::envelope::{Envelope, Topic, WorkNonce};
use undertone::engine::id::SyncRequestId;
use undertone::engine::node::input::Input;
use undertone::engine::sync::wire::SyncRequest;
use undertone::shell::net::{NetEvent, PublishOutcome};
use undertone::shell::os::clock::wall;
use undertone::sim::SeededRng;

use super::attacker::{Attacker, Part};
use super::forward::{Forward, socket};
use super::{
    FLOOD, FLOOR, MINUTE, NETWORK, PATIENCE, PROGRAM, Relay, Talk, Target, besiege, crowd,
    envelope, node,
};

/// Six minutes of row 1, and its links at a time.
const SIX_MINUTES: Duration = Duration::from_secs(360);
const POURERS: usize = 16;

/// So many expired envelopes without work a frame, and a frame every ten milliseconds: 1,000 a
/// second of each link, for as long as it is left.
const IN_A_FRAME: u64 = 10;
const FRAMES: Duration = Duration::from_millis(10);

const A_TENTH: Duration = Duration::from_millis(100);

/// As soon as a program dials again that does not wait longer each time.
const HALF_A_SECOND: Duration = Duration::from_millis(500);

/// An envelope of 32 bytes or little more that expired two days ago, and shows no work.
fn expired(number: u64) -> Vec<u8> {
    let expiry = UnixSeconds((wall().0 / 3_600 - 48) * 3_600);
    let data = number.to_be_bytes();
    let (ttl, topic, nonce) = (Seconds(86_400), Topic([7; 4]), WorkNonce(number));
    Envelope { expiry, ttl, topic, data: &data, nonce }.encode()
}

/// One link that pours such envelopes until it is parted with.
pub(super) async fn pour_expired(target: Target, each: Duration) {
    let mut link = Attacker::new(&target.tcp, FLOOD);
    let next = || {
        let first = target.brought.fetch_add(IN_A_FRAME, Ordering::Relaxed);
        let one = |number| Part::Message(FLOOD.to_owned(), expired(number));
        (first..first + IN_A_FRAME).map(one).collect()
    };
    link.stream(each, next).await;
}

/// Row 1.
#[test]
fn expired_envelopes_without_work() {
    besiege("16 links that pour expired envelopes", SIX_MINUTES, async |target| {
        crowd(&target, POURERS, |target| pour_expired(target, FRAMES)).await;
    });
}

/// Row 2: at each moment 64 TCP connections on which nothing is said, from one address.
#[test]
fn silent_connections() {
    besiege("64 TCP connections that say nothing", MINUTE, async |target| {
        let silent = |target: Target| async move {
            if let Ok(mut link) = TcpStream::connect(socket(&target.tcp)).await {
                // Until it is closed.
                tokio::io::copy(&mut link, &mut tokio::io::sink()).await.ok();
            } else {
                sleep(FRAMES).await;
            }
        };
        crowd(&target, 64, silent).await;
    });
}

/// Row 3: 64 neighbours that join and say nothing, from three address ranges.
#[test]
fn silent_neighbours_from_three_ranges() {
    besiege("64 silent neighbours from 3 ranges", MINUTE, async |target| {
        let from = [20, 21, 22].map(|range| Ipv4Addr::new(127, range, 0, 1));
        let mut ways = Vec::new();
        for from in from {
            ways.push(Forward::tcp(from, socket(&target.tcp)).await);
        }
        let mut crowds = JoinSet::new();
        for (number, way) in ways.iter().enumerate() {
            let target = Target { tcp: way.at.clone(), ..target.clone() };
            let count = 21 + usize::from(number == 0);
            crowds.spawn(async move {
                let silent = |target: Target| async move {
                    Attacker::new(&target.tcp, FLOOD).parted().await
                };
                crowd(&target, count, silent).await;
            });
        }
        while crowds.join_next().await.is_some() {}
    });
}

/// Row 3 again: sixty links, each from a network of its own and a tenth of a second after the one before,
/// that join, say nothing, and come again half a second after each was closed.
#[test]
fn restless_neighbours_from_sixty_networks() {
    besiege("60 silent neighbours from 60 networks, opened anew", MINUTE, async |target| {
        let mut crowds = JoinSet::new();
        for network in 130..190 {
            let from = Ipv4Addr::new(127, network, 0, 1);
            let way = Forward::tcp(from, socket(&target.tcp)).await;
            let target = Target { tcp: way.at.clone(), ..target.clone() };
            sleep(A_TENTH).await;
            crowds.spawn(async move {
                // As long as it is needed.
                let _way = way;
                let silent = |target: Target| async move {
                    Attacker::new(&target.tcp, FLOOD).parted().await;
                    sleep(HALF_A_SECOND).await;
                };
                crowd(&target, 1, silent).await;
            });
        }
        while crowds.join_next().await.is_some() {}
    });
}

/// Row 4: 28 neighbours that break the rules, at the address of the honest author.
#[test]
fn a_crowd_at_an_honest_address() {
    besiege("28 who bring expired envelopes at an honest address", MINUTE, async |target| {
        let way = Forward::tcp(Ipv4Addr::new(127, 9, 0, 1), socket(&target.tcp)).await;
        let target = Target { tcp: way.at.clone(), ..target };
        crowd(&target, 28, |target| pour_expired(target, FRAMES)).await;
    });
}

/// Rows 8 and 18: somebody who comes new catches up within ten seconds, beside 64 who begin to catch
/// up and never go on, and who begin requests and never end them.
#[tokio::test]
async fn a_newcomer_beside_64_hogs_catches_up_within_ten_seconds() {
    const HELD: usize = 300;
    let relay = Relay::start();
    let (mut author, mut chance) = (node(&relay.target.tcp), SeededRng::lane(8, 0));
    let mut left = HELD;
    while left > 0 {
        let (_, bytes) = envelope(&mut chance, 1_000, 1);
        while author.publish(bytes.clone()) != PublishOutcome::Sent {
            drop(author.next().await);
        }
        left -= 1;
        // What goes out goes out by this.
        drop(timeout(Duration::from_millis(20), author.next()).await);
    }
    let mut wait = async |time| {
        let talk = async {
            loop {
                let event = author.next().await;
                Talk::default().take(&mut author, event);
            }
        };
        drop(timeout(time, talk).await);
    };
    // Until all have settled and a set was made since: 65 and 30 seconds.
    wait(Duration::from_secs(100)).await;
    let mut hogs = JoinSet::new();
    for number in 0..64_u8 {
        let to = socket(&relay.target.tcp);
        hogs.spawn(async move {
            let way = Forward::tcp(Ipv4Addr::new(127, 30 + number % 8, number, 1), to).await;
            let mut hog = node(&way.at);
            loop {
                let event = hog.next().await;
                if let NetEvent::Engine(Input::Peers(peers)) = &event {
                    for peer in peers {
                        for number in 0..4 {
                            hog.sync_request(
                                peer.id,
                                SyncRequestId(number),
                                SyncRequest::Begin.encode(),
                            );
                        }
                    }
                }
                Talk::default().take(&mut hog, event);
            }
        });
    }
    // Until they have begun.
    wait(Duration::from_secs(5)).await;
    let took = timeout(PATIENCE, tokio::task::spawn_blocking(move || catches_up(&relay, HELD)));
    let took = took.await.expect("it catches up").expect("no panic");
    println!("a newcomer had {HELD} envelopes after {took:.1?}, beside 64 hogs");
    assert!(took < Duration::from_secs(10));
}

/// How long a second relay takes until it holds as many envelopes.
fn catches_up(relay: &Relay, held: usize) -> Duration {
    // Its start is counted: it says its address and what it holds by events, late in a crowd.
    let begun = Instant::now();
    let mut newcomer = Command::new(PROGRAM)
        .args(["relay", "run", "--json", "--pool", "64MiB", "--listen", "/ip4/127.0.0.1/tcp/0"])
        .args(["--peer", &relay.target.tcp.to_string()])
        .args(["--network", NETWORK, "--floor", &FLOOR.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program");
    let lines = BufReader::new(newcomer.stdout.take().expect("its output")).lines();
    for line in lines {
        let told: serde_json::Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        if told["pool_items"].as_u64().is_some_and(|items| items >= held as u64) {
            break;
        }
    }
    drop(newcomer.kill());
    drop(newcomer.wait());
    begun.elapsed()
}
