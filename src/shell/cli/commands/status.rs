//! `undertone status`: the running node, if there is one, and what the home folder contains.

use std::path::Path;

use serde_json::{Value, json};

use crate::shell::api::calls::Status;
use crate::shell::api::{
    ClientInfo, ClientKind, CoverStatus, MinerStatus, MiningStatus, StatusReport,
};
use crate::shell::archive::{Archive, ArchiveError, ArchiveLabel, ArchiveOnDisk, WrittenLabel};
use crate::shell::cli::args::GlobalArgs;
use crate::shell::cli::{connect, output};
use crate::shell::client::{Client, Connect};
use crate::shell::failure::{Failure, FailureCode};
use crate::shell::store::{Store, StoreError};
use crate::shell::text::lifetime::WorkCost;
use crate::shell::text::{clock_skew, junk, lifetime, network_words, price, size};

/// `undertone status`
pub(super) async fn run(global: &GlobalArgs) -> Result<(), Failure> {
    let home = connect::home(global)?;
    let node = ask(&home).await?;
    let mut store = HomeStore::of(Store::look(&home));
    // One in another container, or a command at this moment.
    let is_held = node.is_none() && Store::is_in_use(&home);
    if is_held && store.trouble.is_none() {
        store.trouble = Some(StoreError::InUse.to_string());
    }
    let archive = Archive::on_disk(&home);
    if global.json {
        output::print_result(&fields(&home, &store, archive.as_ref(), node.as_ref()))?;
        return Ok(());
    }
    output::print_line(&format!("home     {}\nstore    {}", home.display(), store.words))?;
    if let Some(archive) = &archive {
        output::print_line(&format!("archive  {}", archive_words(archive)))?;
    }
    match node {
        None if is_held => output::print_line(
            "node     not reached: another process uses this home folder, perhaps in another container",
        ),
        None => output::print_line("node     not running; start one: undertone"),
        Some(report) => output::print_line(&words(&report)),
    }
}

/// What lies in the place of an archive, for people.
fn archive_words(archive: &ArchiveOnDisk) -> String {
    let of = match &archive.label {
        WrittenLabel::Whole(ArchiveLabel { network, floor, bytes: _ }) => {
            format!(", of the network {network} with a floor of {} bits", floor.bits())
        }
        WrittenLabel::Missing | WrittenLabel::Unusable(_) => String::new(),
    };
    let trouble = archive_trouble(archive);
    let trouble = trouble.map(|why| format!("cannot be used: {why}"));
    let kept = archive.bytes.map(|bytes| format!("{} on disk{of}", size::words(bytes)));
    match (kept, trouble) {
        (Some(kept), Some(trouble)) => format!("{kept}\n         {trouble}"),
        (Some(words), None) | (None, Some(words)) => words,
        (None, None) => format!("no envelopes on disk{of}"),
    }
}

/// What keeps an archive from being opened, as far as that can be seen without opening it.
fn archive_trouble(archive: &ArchiveOnDisk) -> Option<String> {
    if let Some(obstacle) = &archive.obstacle {
        return Some(obstacle.words().to_owned());
    }
    match archive.label {
        WrittenLabel::Unusable(fault) => {
            let failure = Failure::from(ArchiveError::Label(fault));
            Some(failure.why)
        }
        WrittenLabel::Missing | WrittenLabel::Whole(_) => None,
    }
}

/// The answer for programs.
fn fields(
    home: &Path,
    store: &HomeStore,
    archive: Option<&ArchiveOnDisk>,
    node: Option<&StatusReport>,
) -> Value {
    let label = archive.and_then(|archive| archive.label.known());
    json!({
        "running": node.is_some(),
        "ready": node.is_some_and(|report| report.network.ready),
        "home": home.display().to_string(),
        "kept": store.word == KEPT, "store": store.word, "store_trouble": store.trouble,
        "archive_bytes": archive.and_then(|archive| archive.bytes),
        "archive_network": label.map(|label| label.network.as_str()),
        "archive_floor": label.map(|label| label.floor.bits()),
        "archive_trouble": archive.and_then(archive_trouble),
        "node": node,
    })
}

/// The figures of the node that runs in a home folder; none if no node runs there.
async fn ask(home: &Path) -> Result<Option<StatusReport>, Failure> {
    let to = Connect::Attach(home.to_owned());
    let reached = Client::connect(to, ClientInfo::new(ClientKind::Command)).await;
    let done = match reached {
        Ok((client, _)) => {
            let report = client.call(Status {}).await;
            connect::finish(client, report).await
        }
        Err(failure) => Err(failure),
    };
    match done {
        Ok(report) => Ok(Some(report)),
        // It stopped before it was reached, or while it was asked.
        Err(failure)
            if matches!(
                failure.code(),
                Some(FailureCode::NoNode | FailureCode::NodeStopping | FailureCode::NodeEnded)
            ) =>
        {
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// The store of a home folder, as far as it can be seen without its passphrase.
struct HomeStore {
    /// For programs: [`KEPT`], [`NONE`], or the code of the error with which it does not open.
    word: String,
    /// Why it does not open, if that is so.
    trouble: Option<String>,
    /// The same for people.
    words: String,
}

impl HomeStore {
    fn of(seen: Result<(), StoreError>) -> Self {
        match seen {
            Ok(()) => Self {
                word: KEPT.to_owned(),
                trouble: None,
                words: "encrypted with a passphrase".to_owned(),
            },
            Err(StoreError::Missing) => {
                Self { word: NONE.to_owned(), trouble: None, words: "empty".to_owned() }
            }
            Err(error) => {
                let failure = Failure::from(error);
                let words = format!("does not open: {}\n         {}", failure.why, failure.next);
                Self { word: failure.word().to_owned(), trouble: Some(failure.why), words }
            }
        }
    }
}

fn words(report: &StatusReport) -> String {
    let network = &report.network;
    let cover = match network.cover_per_minute {
        Some(_) if network.cover == CoverStatus::Rests => price::no_junk(network.price),
        Some(rate) => format!("{} on average", junk::rate(rate)),
        None => "off".to_owned(),
    };
    let clock = network.clock().map_or_else(|| "not compared yet".to_owned(), clock_skew::words);
    let mining =
        miner_words(&network.miner, network.mining).map(|words| format!("mining   {words}\n"));
    let asks = price::own_steps(network.steps).map(|steps| format!("asks     {steps}\n"));
    let mut text = format!(
        "node     running, network {}\npeers    {}\npool     {} of {}, {}\n\
         room     {}\nline     {}\n{}floor    2^{}\n{}junk     {cover}\nqueued   {}\n\
         clock    {clock}\ncatch-up {} fetched from peers",
        network.network,
        network.peers,
        size::words(network.pool_bytes as u64),
        size::words(network.pool_capacity as u64),
        envelopes(network.pool_items as u64),
        price::fill(network.fill),
        price::line(network.line),
        asks.unwrap_or_default(),
        network.floor_bits,
        mining.unwrap_or_default(),
        network.queued,
        envelopes(network.caught_up),
    );
    if let Some(busy) = price::busy(network.price) {
        text.push_str(&format!("\nprice    {busy}"));
    }
    if let Some(waiting) = price::held_back(network.waiting) {
        text.push_str(&format!("\nwaiting  for a lower price: {waiting}"));
    }
    if let Some(in_line) = price::held_back(network.in_line) {
        text.push_str(&format!("\nin line  leaving one by one: {in_line}"));
    }
    if let Some(unanswered) = price::unanswered(network.unanswered) {
        text.push_str(&format!("\nwaiting  {unanswered}"));
    }
    if let Some(trouble) = &network.names_trouble {
        text.push_str(&format!("\nnames    {}", network_words::shown(trouble)));
    }
    for address in &network.listening {
        text.push_str("\nlisten   ");
        text.push_str(address);
    }
    text
}

/// How a node searches for work, and what for; nothing of one that does not say.
fn miner_words(miner: &MinerStatus, search: Option<MiningStatus>) -> Option<String> {
    let threads = match (miner.threads, miner.threads_now) {
        (0, _) => return None,
        (1, 0) => "1 thread".to_owned(),
        (1, _) => "1 thread searches now".to_owned(),
        (more, 0) => format!("up to {more} threads (half of them on battery)"),
        (more, 1) => format!("1 thread of {more} searches now (half of them on battery)"),
        (more, now) => format!("{now} threads of {more} search now (half of them on battery)"),
    };
    let speed = match miner.tries_per_second {
        0 => "its speed is not measured yet".to_owned(),
        rate => format!("{} tries a second", lifetime::number(rate)),
    };
    let search =
        search.filter(|_| miner.threads_now > 0).and_then(|MiningStatus { tries, .. }| {
            Some(format!(
                ", {} for what leaves next",
                WorkCost::of_tries(tries, miner.tries_per_second).about()?
            ))
        });
    let kernel = network_words::shown(&miner.kernel);
    Some(format!("{threads}, {kernel}, {speed}{}", search.unwrap_or_default()))
}

fn envelopes(count: u64) -> String {
    if count == 1 { "1 envelope".to_owned() } else { format!("{count} envelopes") }
}

/// The word for a store that nothing is wrong with.
const KEPT: &str = "encrypted";

/// The word for a home folder without a store.
const NONE: &str = "none";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::settings::DEFAULT_POOL;
    use crate::shell::api::status::tests::network;
    use crate::shell::api::testing::in_readme;
    use crate::shell::api::{
        ArchiveStatus, FillStatus, LineStatus, MiningStatus, NetworkStatus, Persistence,
        PriceStatus, StepsStatus,
    };

    fn told(network: NetworkStatus) -> String {
        let persistence = Persistence::Sealed;
        words(&StatusReport { network, online: true, persistence, clients: 1 })
    }

    #[test]
    fn room_line_and_price_are_told_and_the_price_only_where_it_is_not_the_usual() {
        let calm = told(network());
        assert!(
            // What it asks is not what it pays: beside a price "the usual work" would contradict it.
            !calm.contains("asks") && !calm.contains("price"),
            "{calm}"
        );
        let busy = told(NetworkStatus {
            steps: StepsStatus { day: 3, line: 1, ..StepsStatus::default() },
            price: PriceStatus { day: 4, ..PriceStatus::default() },
            fill: FillStatus { six_hours: 1, day: 88, week: 0 },
            line: LineStatus { blocks_per_second: 16, percent_left: 47 },
            ..network()
        });
        for row in [
            "room     6 hours 1% full, a day 88%, a week 0%",
            "line     16 envelopes per second at most, 47% of two minutes left",
            "asks     of others, by its own room and line: 8 times the usual work for a day (15 minutes \
             ahead), 2 times to be passed on (peak of two minutes)",
            "price    busy: 16 times the usual work for a day is asked; without another limit you pay at most 8 times, so what \
             costs more waits",
        ] {
            assert!(busy.lines().any(|line| line == row), "{row} in {busy}");
        }
    }

    #[test]
    fn the_readme_lists_every_field_of_a_status() {
        let store = HomeStore::of(Ok(()));
        let fields = fields(Path::new("/home"), &store, None, None);
        in_readme("| field of `status` | means |", &fields);
        let network = NetworkStatus {
            mining: Some(MiningStatus { tries: 1, hashes_per_second: 1 }),
            archive: Some(ArchiveStatus { bytes: 1, missed: 0, trouble: None }),
            ..network()
        };
        let persistence = Persistence::Sealed;
        let report = StatusReport { network, online: true, persistence, clients: 1 };
        in_readme("| field of a node | means |", &output::to_json(&report));
    }

    #[test]
    fn it_is_told_how_work_is_searched_for_if_the_node_says_so() {
        let row = |(threads, threads_now), tries_per_second| {
            let kernel = "scalar".to_owned();
            let miner = MinerStatus { threads, threads_now, kernel, tries_per_second };
            let mining = Some(MiningStatus { tries: 34_000_000, hashes_per_second: 1 });
            let all = told(NetworkStatus { miner, mining, ..network() });
            all.lines().find(|row| row.starts_with("mining ")).map(str::to_owned)
        };
        assert_eq!(row((0, 0), 0), None, "a node of an earlier version");
        let begun = row((1, 0), 0).unwrap();
        assert_eq!(begun, "mining   1 thread, scalar, its speed is not measured yet");
        let measured = row((3, 0), 6_800_000).unwrap();
        assert_eq!(
            measured,
            "mining   up to 3 threads (half of them on battery), scalar, 6.8 million tries a second"
        );
        assert_eq!(
            row((3, 2), 6_800_000).unwrap(),
            "mining   2 threads of 3 search now (half of them on battery), scalar, 6.8 million tries a \
             second, about 5 s for what leaves next"
        );
        assert!(row((3, 1), 0).unwrap().contains(" 1 thread of 3 searches now (half"));
        assert!(row((1, 1), 0).unwrap().contains(" 1 thread searches now, scalar, its speed"));
    }

    #[test]
    fn one_envelope_is_not_said_to_be_several() {
        let pool_capacity = DEFAULT_POOL.bytes();
        let words = |pool_items, caught_up| {
            told(NetworkStatus { pool_items, pool_capacity, caught_up, ..network() })
        };
        let one = words(1, 1);
        assert!(one.contains("\npool     0 B of 64 MiB, 1 envelope\n"), "{one}");
        assert!(one.contains("catch-up 1 envelope fetched"), "{one}");
        let two = words(2, 0);
        assert!(
            two.contains(" MiB, 2 envelopes\n") && two.contains("catch-up 0 envelopes"),
            "{two}"
        );
    }

    #[test]
    fn a_store_that_lost_a_file_is_not_said_to_be_kept() {
        let missing = HomeStore::of(Err(StoreError::KeyMissing));
        assert_eq!(missing.word, "store_unreadable");
        assert!(missing.words.contains("key file is missing"), "{}", missing.words);
        assert_eq!(missing.trouble.as_deref(), Some("the store's key file is missing"));
        let none = HomeStore::of(Err(StoreError::Missing));
        assert_eq!((&*none.word, &*none.words, none.trouble), (NONE, "empty", None));
    }
}
