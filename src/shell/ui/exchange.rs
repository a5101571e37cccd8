//! The exchange with the node: the calls that are under way, and the stream of events.

use std::collections::VecDeque;

use futures::StreamExt as _;
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::FuturesUnordered;
use tokio::task::coop::consume_budget;

use super::model::CallId;
use crate::engine::secret::opaque_debug;
use crate::shell::api::calls::{AnyCall, AnyReply};
use crate::shell::api::{Delivery, EventFilter, From, Needs};
use crate::shell::client::{Client, Events};
use crate::shell::failure::Failure;

/// Most calls under way at once; others wait. A guess, well under what a connection may have.
const MAX_UNDER_WAY: usize = 16;

type Answer = Result<AnyReply, Failure>;

/// The calls that the node is asked. What changes something is asked one after the other, in the
/// order of the keys: a connection begins what it is asked at once in any order. The rest waits for
/// none of it.
pub(super) struct CallQueue {
    caller: Box<dyn Fn(AnyCall) -> BoxFuture<'static, Answer> + Send + Sync>,
    /// The model gives no more ids than wait for an answer, which bounds it.
    waiting: VecDeque<(CallId, AnyCall)>,
    under_way: FuturesUnordered<BoxFuture<'static, (CallId, Needs, Answer)>>,
    is_changing: bool,
}

opaque_debug!(struct CallQueue { caller, waiting, under_way, is_changing });

impl CallQueue {
    /// A queue of calls by a client.
    pub(super) fn of(client: &Client) -> Self {
        let client = client.clone();
        Self::new(move |call| {
            let client = client.clone();
            async move { client.call_any(call).await }.boxed()
        })
    }

    fn new(caller: impl Fn(AnyCall) -> BoxFuture<'static, Answer> + Send + Sync + 'static) -> Self {
        Self {
            caller: Box::new(caller),
            waiting: VecDeque::new(),
            under_way: FuturesUnordered::new(),
            is_changing: false,
        }
    }

    /// Asks the node, now or when it is its turn.
    pub(super) fn push(&mut self, id: CallId, call: AnyCall) {
        self.waiting.push_back((id, call));
        self.begin();
    }

    /// Begins what can begin.
    fn begin(&mut self) {
        let mut index = 0;
        while self.under_way.len() < MAX_UNDER_WAY
            && let Some(changing) = self.waiting.get(index).map(|(_, call)| changes(call.needs()))
        {
            if changing && self.is_changing {
                index += 1;
            } else if let Some((id, call)) = self.waiting.remove(index) {
                self.is_changing |= changing;
                let needs = call.needs();
                let answer = (self.caller)(call);
                self.under_way.push(async move { (id, needs, answer.await) }.boxed());
            }
        }
    }

    /// The next answer; never if nothing is under way. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> (CallId, Answer) {
        let Some((id, needs, answer)) = self.under_way.next().await else {
            return std::future::pending().await;
        };
        if changes(needs) {
            self.is_changing = false;
        }
        self.begin();
        (id, answer)
    }

    /// Waits until what changes something was answered. The rest is forgotten.
    pub(super) async fn finish(&mut self) {
        self.waiting.retain(|(_, call)| changes(call.needs()));
        while self.is_changing || !self.waiting.is_empty() {
            // The model that asked is over.
            let (_, _) = self.next().await;
        }
    }
}

/// Whether a call with these needs changes something.
const fn changes(needs: Needs) -> bool {
    match needs {
        Needs::Nothing | Needs::Read => false,
        Needs::Write | Needs::Manage | Needs::Admin => true,
    }
}

/// The stream of events, or the way to the next one.
pub(super) enum EventSource {
    Streaming(Box<Events>),
    Asking(BoxFuture<'static, Result<Events, Failure>>),
    /// There is no node any more.
    Gone,
}

opaque_debug!(
    enum EventSource {
        Streaming,
        Asking,
        Gone,
    }
);

/// What a source of events brings.
pub(super) enum Heard {
    Delivery(Delivery),
    /// A stream that begins with the present state of a node.
    Reached(Box<Events>),
    /// There is no node any more, and why.
    Gone(Failure),
}

opaque_debug!(
    enum Heard {
        Delivery,
        Reached,
        Gone,
    }
);

impl EventSource {
    /// The present state of the node of a client, or of the next node if that one has ended, and
    /// what happens from then on.
    pub(super) fn of(client: &Client) -> Self {
        let client = client.clone();
        let asked = async move { client.events(EventFilter::all(), From::Snapshot).await };
        Self::Asking(asked.boxed())
    }

    /// What comes next. What it says of the source is to be put in its place. Dropping the future
    /// loses nothing.
    pub(super) async fn next(&mut self) -> Heard {
        // A stream that always has something lets timers and keys have their turn.
        consume_budget().await;
        match self {
            Self::Streaming(events) => Heard::Delivery(events.next().await),
            Self::Asking(asked) => match asked.await {
                Ok(events) => Heard::Reached(Box::new(events)),
                Err(why) => Heard::Gone(why),
            },
            Self::Gone => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    use futures::poll;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use tokio::sync::oneshot;

    use super::super::model::{Model, NodeHost, UiEffect};
    use super::super::options::{ColorSupport, Glyphs, InviteCodec, UiMode, UiOptions};
    use super::super::view::{ViewState, view};
    use super::*;
    use crate::engine::env::UnixSeconds;
    use crate::shell::api::calls::{Call as _, IdentityList, IdentityNew, Status};
    use crate::shell::client::NodeOptions;
    use crate::shell::event_log::gone;

    /// The calls that a node was asked, and the places for their answers.
    type Asked = Arc<Mutex<Vec<(&'static str, oneshot::Sender<Answer>)>>>;

    /// A queue of calls to a node that answers when the test does.
    fn queue() -> (CallQueue, Asked) {
        let asked = Asked::default();
        let node = Arc::clone(&asked);
        let queue = CallQueue::new(move |call| {
            let (answer, answered) = oneshot::channel();
            node.lock().expect("no panic").push((call.method(), answer));
            async move { answered.await.unwrap_or_else(|_| Err(gone())) }.boxed()
        });
        (queue, asked)
    }

    fn methods(asked: &Asked) -> Vec<&'static str> {
        asked.lock().expect("no panic").iter().map(|(method, _)| *method).collect()
    }

    /// Answers a call that was asked.
    fn answer(asked: &Asked, index: usize) {
        let (_, place) = asked.lock().expect("no panic").remove(index);
        place.send(Err(gone())).expect("somebody waits");
    }

    fn options() -> UiOptions {
        UiOptions {
            mode: UiMode::Normal,
            glyphs: Glyphs::Ascii,
            color: ColorSupport::Off,
            max_text: 100,
            clock: || UnixSeconds(0),
            zone: jiff::tz::TimeZone::UTC,
            invites: InviteCodec { write: |_| String::new(), read: |_| Err(String::new()) },
        }
    }

    /// Ids of calls, as a model gives them.
    fn ids() -> impl Iterator<Item = CallId> {
        let mut model = Model::new(options());
        std::iter::repeat_with(move || match model.on_node_reached(NodeHost::Own).as_slice() {
            [UiEffect::Call(id, _)] => *id,
            _ => panic!("one call"),
        })
    }

    fn make() -> AnyCall {
        IdentityNew { name: "nightjar".to_owned() }.into_any()
    }

    #[tokio::test]
    async fn what_changes_something_is_asked_in_order_and_the_rest_waits_for_none_of_it() {
        let (mut queue, asked) = queue();
        let ids: Vec<CallId> = ids().take(4).collect();
        for (id, call) in [make(), make(), Status {}.into_any(), IdentityList {}.into_any()]
            .into_iter()
            .enumerate()
        {
            queue.push(ids[id], call);
        }
        assert_eq!(methods(&asked), ["identity.new", "status", "identity.list"]);
        answer(&asked, 1);
        assert_eq!(queue.next().await.0, ids[2]);
        assert_eq!(methods(&asked), ["identity.new", "identity.list"]);
        answer(&asked, 0);
        assert_eq!(queue.next().await.0, ids[0]);
        assert_eq!(methods(&asked), ["identity.list", "identity.new"]);
    }

    #[tokio::test]
    async fn no_more_calls_are_under_way_than_a_connection_may_have() {
        let (mut queue, asked) = queue();
        for id in ids().take(MAX_UNDER_WAY + 2) {
            queue.push(id, Status {}.into_any());
        }
        assert_eq!(methods(&asked).len(), MAX_UNDER_WAY);
        answer(&asked, 0);
        assert!(queue.next().await.1.is_err());
        assert_eq!(methods(&asked).len(), MAX_UNDER_WAY);
    }

    #[tokio::test]
    async fn a_key_is_drawn_while_two_calls_are_under_way() {
        let (mut queue, asked) = queue();
        let mut model = Model::new(options());
        for (id, call) in ids().zip([make(), Status {}.into_any()]) {
            queue.push(id, call);
        }
        assert_eq!(methods(&asked), ["identity.new", "status"]);
        // As the loop waits: the calls are polled, and a key comes first.
        let waited = queue.next();
        tokio::pin!(waited);
        assert!(poll!(waited.as_mut()).is_pending());
        model.on_key(KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE));
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a test terminal");
        let mut state = ViewState::default();
        terminal.draw(|frame| view(&model, &mut state, frame)).expect("drawing in memory");
        assert!(terminal.backend().to_string().contains("> q"));
        assert!(poll!(waited.as_mut()).is_pending());
    }

    #[tokio::test]
    async fn the_last_changes_are_answered_before_the_end_and_nothing_else_is_waited_for() {
        let (mut queue, asked) = queue();
        for (id, call) in ids().zip([make(), Status {}.into_any(), make()]) {
            queue.push(id, call);
        }
        let mut finished = Box::pin(queue.finish());
        assert!(poll!(&mut finished).is_pending());
        answer(&asked, 0);
        assert!(poll!(&mut finished).is_pending());
        assert_eq!(methods(&asked), ["status", "identity.new"]);
        answer(&asked, 1);
        finished.await;
        assert_eq!(methods(&asked), ["status"]);
    }

    #[tokio::test]
    async fn a_node_that_stops_and_has_no_next_one_is_the_end_of_the_source() {
        let client = Client::start(NodeOptions::in_memory().offline()).await.expect("a node");
        let mut source = EventSource::of(&client);
        let Heard::Reached(events) = source.next().await else { panic!("it runs") };
        source = EventSource::Streaming(events);
        let Heard::Delivery(Delivery::Event { .. }) = source.next().await else {
            panic!("it tells its state")
        };
        client.call(crate::shell::api::calls::NodeStop {}).await.expect("it stops");
        loop {
            match source.next().await {
                Heard::Delivery(Delivery::Ended(_)) => break,
                Heard::Delivery(_) => {}
                Heard::Reached(_) | Heard::Gone(_) => panic!("the stream ends first"),
            }
        }
        source = EventSource::of(&client);
        assert!(matches!(source.next().await, Heard::Gone(_)));
    }

    #[test]
    fn the_exchange_prints_nothing_of_what_is_asked() {
        let (queue, _asked) = queue();
        assert_eq!(format!("{queue:?}"), "CallQueue");
        assert_eq!(format!("{:?}", EventSource::Gone), "EventSource::Gone");
        assert_eq!(format!("{:?}", Heard::Gone(gone())), "Heard::Gone");
    }
}
