//! Every example does what it says it does.

#[path = "../examples/answering_bot.rs"]
mod answering_bot;
#[path = "../examples/relay.rs"]
mod relay;
#[path = "../examples/swarm.rs"]
mod swarm;
#[path = "../examples/two_friends.rs"]
mod two_friends;

#[test]
fn two_friends_meet_over_the_engine_alone() -> anyhow::Result<()> {
    two_friends::main()
}

#[test]
fn a_relay_carries_a_conversation() -> anyhow::Result<()> {
    Ok(relay::main()?)
}

#[test]
fn a_bot_answers() -> anyhow::Result<()> {
    Ok(answering_bot::main()?)
}

#[test]
fn a_swarm_loses_nothing_and_its_seed_decides_the_run() -> anyhow::Result<()> {
    swarm::main()?;
    assert_eq!(swarm::run(3)?, swarm::run(3)?);
    assert_ne!(swarm::run(3)?, swarm::run(4)?);
    Ok(())
}
