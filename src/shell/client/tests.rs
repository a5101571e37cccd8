//! Clients of one home: who starts the node, who attaches, and who goes on.

use zeroize::Zeroizing;

use super::*;
use crate::engine::crypto::invite;
use crate::engine::crypto::keys::Identity;
use crate::engine::price::Step;
use crate::engine::record::MessageState;
use crate::engine::testing::rng::SeededRng;
use crate::shell::api::calls::{
    ContactAdd, IdentityList, IdentityNew, MessageSend, MessageWait, Status,
};
use crate::shell::api::{ClientKind, StartOptions};
use crate::shell::os::passphrase::Passphrase;
use tokio::time::timeout;

/// Far above what anything here takes on a busy machine; it names a hang.
const PATIENCE: Duration = Duration::from_secs(100);

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it hangs")
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A node of a home in a network of its own.
fn options(home: &tempfile::TempDir) -> NodeOptions {
    let passphrase = Passphrase::new(Zeroizing::new("correct horse".to_owned())).unwrap();
    let home = HomeOptions::with_passphrase(home.path().join("home"), passphrase);
    NodeOptions::in_home(home).network("clients").unwrap().floor(4)
}

async fn attach_or_start(options: NodeOptions) -> Client {
    let who = ClientInfo::new(ClientKind::Bot);
    in_time(Client::connect(Connect::AttachOrStart(options), who)).await.unwrap().0
}

async fn names(client: &Client) -> Vec<String> {
    let list = in_time(client.call(IdentityList {})).await.unwrap();
    list.items.iter().map(|identity| identity.name.clone()).collect()
}

fn new_identity(name: &str) -> IdentityNew {
    IdentityNew { name: name.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_one_home_share_a_node_and_go_on_when_it_ends() {
    let home = home();
    let first = attach_or_start(options(&home)).await;
    let second = attach_or_start(options(&home)).await;
    assert_eq!((first.is_own_node(), second.is_own_node()), (true, false));
    let mut heard =
        in_time(second.events(EventFilter::of(&[EventKind::Identity]), From::Now)).await.unwrap();
    in_time(first.call(new_identity("ann"))).await.unwrap();
    let Some(Event::Identity(ann)) = in_time(heard.event()).await else { panic!("ann was made") };
    assert_eq!(ann.name, "ann");
    // The directory is whole on both sides.
    for client in [&first, &second] {
        let mut directory = client.directory();
        let whole = directory.wait_for(|directory| directory.identities().count() == 1);
        assert!(in_time(whole).await.is_ok());
    }
    let add = ContactAdd {
        identity: None,
        invite: invite::encode(&Identity::generate(&mut SeededRng::new(1).turn()).public()),
        name: "ben".to_owned(),
        max_work: None,
    };
    in_time(second.call(add)).await.unwrap();
    let sent = in_time(second.call(MessageSend::new("ben", "hello"))).await.unwrap();
    // The second waits at the node of the first, and goes on waiting at its own.
    let wait = MessageWait { message: sent.id.into(), state: MessageState::Sent, timeout_s: 3 };
    let (waited, closed) = in_time(async { tokio::join!(second.call(wait), first.close()) }).await;
    closed.unwrap();
    let waited = waited.unwrap();
    assert!(waited.time_over, "nobody carries it");
    assert_eq!(waited.message.id, sent.id);
    assert!(second.is_own_node());
    assert_eq!(names(&second).await, ["ann"]);
    in_time(second.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_over_from_a_node_stays_in_its_network() {
    let home = home();
    let first = attach_or_start(options(&home)).await;
    // As an interface without flags of a network, which attaches to whatever runs.
    let main = || options(&home).network("main").unwrap().floor(21);
    let second = attach_or_start(main()).await;
    let third = attach_or_start(main()).await;
    in_time(first.close()).await.unwrap();
    for (client, gone) in [(&second, None), (&third, Some(&second))] {
        if let Some(gone) = gone {
            in_time(gone.clone().close()).await.unwrap();
        }
        in_time(client.call(IdentityList {})).await.unwrap();
        let hello = client.hello();
        assert!(client.is_own_node());
        assert_eq!((hello.network.as_str(), hello.floor), ("clients", 4));
    }
    in_time(third.close()).await.unwrap();
    // The first of all is where its flags say.
    let fresh = attach_or_start(main()).await;
    assert_eq!(fresh.hello().network, "main");
    in_time(fresh.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_over_from_a_node_goes_on_with_its_settings_but_for_those_of_its_own() {
    let home = home();
    let line = |blocks| std::num::NonZeroU32::new(blocks).unwrap();
    let listen = "/ip4/127.0.0.1/tcp/0";
    let of_first = options(&home)
        .line(line(3))
        .junk(Duration::from_secs(3_600))
        .max_work(Step::new(6))
        .listen(listen)
        .unwrap()
        .peer("/ip4/127.0.0.1/tcp/1")
        .unwrap();
    let first = attach_or_start(of_first).await;
    let told = first.hello().start;
    assert_eq!((told.line.get(), told.junk_ms, told.max_work), (3, Some(3_600_000), 64));
    assert_eq!((told.listen.len(), told.peers.len(), told.lan), (1, 1, false));
    let second = attach_or_start(options(&home)).await;
    // The usual limit, and said: that is something else than nothing said.
    let third = attach_or_start(options(&home).line(line(5)).max_work(Step::new(3))).await;
    in_time(first.close()).await.unwrap();
    in_time(second.call(IdentityList {})).await.unwrap();
    assert!(second.is_own_node() && second.hello().start == told);
    in_time(second.close()).await.unwrap();
    in_time(third.call(IdentityList {})).await.unwrap();
    let last = third.hello().start;
    assert_eq!((last.line.get(), last.max_work), (5, 8));
    assert!(last == StartOptions { line: line(5), max_work: 8, ..told });
    // It is what the node does, and not only what it says.
    let figures = in_time(third.call(Status {})).await.unwrap().network;
    assert_eq!(figures.line.blocks_per_second, 5);
    assert!(in_time(listens(&third)).await, "at the address of the first");
    in_time(third.close()).await.unwrap();
}

/// Waits until a node listens somewhere.
async fn listens(client: &Client) -> bool {
    let mut heard =
        client.events(EventFilter::of(&[EventKind::Network]), From::Snapshot).await.unwrap();
    while let Some(event) = heard.event().await {
        if matches!(event, Event::Network(figures) if !figures.listening.is_empty()) {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn a_node_after_one_without_a_network_or_with_no_name_of_one_is_started_in_no_other() {
    let home = home();
    let own = options(&home);
    let (client, hello) = {
        let who = ClientInfo::new(ClientKind::Bot);
        in_time(Client::connect(Connect::Start(own.clone()), who)).await.unwrap()
    };
    let after = |hello: &Hello, options: &NodeOptions| match Connect::AttachOrStart(options.clone())
        .after(hello)?
    {
        Connect::AttachOrStart(options) => Some(options.net.map(|net| net.network.to_string())),
        Connect::Start(_) | Connect::Attach(_) => panic!("the same kind"),
    };
    let elsewhere = Hello { network: "elsewhere".to_owned(), ..hello.clone() };
    assert_eq!(after(&elsewhere, &own), Some(Some("elsewhere".to_owned())));
    assert_eq!(after(&elsewhere, &own.clone().offline()), Some(None));
    let offline = Hello { online: false, ..elsewhere };
    assert_eq!(after(&offline, &own), Some(Some("clients".to_owned())));
    let unnamed = Hello { network: "No Name".to_owned(), ..hello };
    assert_eq!(after(&unnamed, &own), None);
    in_time(client.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_for_one_command_gives_way_to_one_that_stays() {
    let home = home();
    let brief = NodeOptions { stay: Stay::Brief, ..options(&home) };
    let command = attach_or_start(brief).await;
    in_time(command.call(new_identity("ann"))).await.unwrap();
    assert!(command.is_own_node());
    let stays = attach_or_start(options(&home)).await;
    assert!(stays.is_own_node());
    // The command goes on with the node that took over.
    assert_eq!(names(&command).await, ["ann"]);
    assert!(!command.is_own_node());
    in_time(stays.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_that_a_command_holds_for_a_moment_is_waited_for() {
    let home = home();
    let alone = attach_or_start(options(&home).offline()).await;
    in_time(alone.call(new_identity("ann"))).await.unwrap();
    // Without a network it has no socket, so the next one has to wait for it.
    let mut waiting = JoinSet::new();
    waiting.spawn(attach_or_start(options(&home)));
    assert_eq!(names(&alone).await, ["ann"]);
    in_time(alone.close()).await.unwrap();
    let next = in_time(waiting.join_next()).await.unwrap().unwrap();
    assert_eq!(names(&next).await, ["ann"]);
    in_time(next.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_without_a_node_is_said_to_have_none_and_a_stale_file_is_none() {
    let home = home();
    let path = home.path().join("home");
    let attach = || async {
        let who = ClientInfo::new(ClientKind::Command);
        in_time(Client::connect(Connect::Attach(path.clone()), who)).await.map(|_| ())
    };
    assert_eq!(attach().await.unwrap_err().code(), Some(FailureCode::NoNode));
    let node = attach_or_start(options(&home)).await;
    attach().await.unwrap();
    let note = std::fs::read(path.join("node.json")).unwrap();
    in_time(node.close()).await.unwrap();
    assert!(!path.join("node.json").exists());
    // As a node leaves it that was killed.
    std::fs::write(path.join("node.json"), note).unwrap();
    std::fs::set_permissions(
        path.join("node.json"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    assert_eq!(attach().await.unwrap_err().code(), Some(FailureCode::NoNode));
    in_time(attach_or_start(options(&home)).await.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_node_that_must_be_ones_own_is_refused_while_the_first_runs() {
    let home = home();
    let first = attach_or_start(options(&home)).await;
    let who = ClientInfo::new(ClientKind::Bot);
    let second = Client::connect(Connect::Start(options(&home)), who).await;
    assert_eq!(second.unwrap_err().code(), Some(FailureCode::InUse));
    in_time(first.close()).await.unwrap();
}

#[tokio::test]
async fn the_only_identity_speaks_by_itself_and_of_several_the_chosen_one_alone() {
    let client = in_time(Client::start(NodeOptions::in_memory().offline())).await.unwrap();
    let list = || async {
        let list = in_time(client.call(IdentityList {})).await.unwrap();
        let marks = list.items.iter().map(|one| (one.name.clone(), one.is_default));
        marks.collect::<std::collections::BTreeMap<_, _>>()
    };
    let marks = |marks: &[(&str, bool)]| {
        marks.iter().map(|(name, mark)| ((*name).to_owned(), *mark)).collect()
    };
    let ann = in_time(client.call(new_identity("ann"))).await.unwrap();
    assert!(ann.is_default);
    assert!(!in_time(client.call(new_identity("bea"))).await.unwrap().is_default);
    assert_eq!(list().await, marks(&[("ann", false), ("bea", false)]));
    let use_bea = crate::shell::api::calls::IdentityUse { name: "bea".to_owned() };
    assert!(in_time(client.call(use_bea)).await.unwrap().is_default);
    assert_eq!(list().await, marks(&[("ann", false), ("bea", true)]));
    let delete = crate::shell::api::calls::IdentityDelete {
        name: "bea".to_owned(),
        confirm: Some("bea".to_owned()),
    };
    in_time(client.call(delete)).await.unwrap();
    assert_eq!(list().await, marks(&[("ann", true)]));
    in_time(client.close()).await.unwrap();
}
