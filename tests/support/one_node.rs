//! One node, driven by hand.

use undertone::engine::env::Env;
use undertone::engine::event::{Event, IdentityView};
use undertone::engine::node::Node;
use undertone::engine::node::input::Input;
use undertone::engine::turn::Output;

/// One turn, and everything it has to be carried out.
pub(crate) fn turn(node: &mut Node, env: &mut Env<'_>, input: Input) -> Vec<Output> {
    node.handle(env, input);
    core::iter::from_fn(|| node.poll_output()).collect()
}

/// The only identity of a node.
pub(crate) fn own_identity(node: &Node) -> IdentityView {
    let mut own = node.snapshot().into_iter().filter_map(|event| {
        let Event::Identity(view) = event else { return None };
        Some(view)
    });
    let only = own.next().expect("an identity");
    assert!(own.next().is_none(), "it has one identity");
    only
}
