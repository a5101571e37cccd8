//! Which libp2p protocols a node speaks, and the source of each number in them.
//!
//! No protocol here shows an envelope's author, the program, or its listen addresses. What every node
//! refuses alike never gets as far as gossipsub ([`super::inbound`]); the engine validates what is
//! left before it is passed on. Catching up is done in exchanges of one request
//! and one response, whose bytes are the engine's.
//!
//! # Signs of life
//!
//! A gossipsub stream can die while its connection lives: after one frame the reader does not
//! accept, the stream is closed and never opened again, publishing goes on returning `Ok`, and
//! ping answers (seen with gossipsub 0.50). Gossipsub itself sends nothing while no envelope is
//! under way, so silence proves nothing. Each node therefore joins and leaves a second topic about
//! once a minute; these notices travel on the very stream that carries the envelopes. A neighbour
//! that gave such signs and stops has lost that stream: the connection is closed, and the side that
//! dialled it dials again.

use core::time::Duration;
use std::sync::Arc;

use libp2p::{
    allow_block_list, gossipsub, identify, identity, mdns, ping,
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
};

use crate::engine::envelope::Floor;

use super::NetError;
use super::address_range::RangeNumbers;
use super::admissions::KEPT;
use super::desk::KnownExchanges;
use super::door::Door;
use super::frame::FRAME;
use super::inbound::{CheckedGossip, Gossipsub, InboundCheck, Inspector};
use super::request_response::sync_behaviour;
use super::settings::{LanDiscovery, NetSettings, ProtocolNames};

/// Everything one connection is used for. What may refuse a connection comes before the door, which
/// makes others give way for it. Gossip comes last: its handler must not be made for a
/// connection that one of the others denies, or it would wait for that connection forever.
#[derive(NetworkBehaviour)]
pub(super) struct Protocols {
    pub(super) blocked: allow_block_list::Behaviour<allow_block_list::BlockedPeers>,
    pub(super) door: Door,
    lan: Toggle<mdns::tokio::Behaviour>,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(super) sync: KnownExchanges,
    pub(super) gossip: CheckedGossip,
}

impl Protocols {
    /// Sets all protocols up for the transport key `key`.
    pub(super) fn new(
        key: &identity::Keypair,
        names: &ProtocolNames,
        ranges: RangeNumbers,
        settings: &NetSettings,
    ) -> Result<Self, NetError> {
        let NetSettings { limits, pace, .. } = settings;
        let lan = match settings.lan {
            LanDiscovery::Off => None,
            LanDiscovery::On => Some(
                mdns::tokio::Behaviour::new(mdns::Config::default(), key.public().to_peer_id())
                    .map_err(|error| NetError::Lan(error.to_string()))?,
            ),
        };
        Ok(Self {
            blocked: allow_block_list::Behaviour::default(),
            door: Door::new(ranges.clone(), limits, pace),
            lan: Toggle::from(lan),
            identify: identify::Behaviour::new(identity_card(key)),
            ping: ping::Behaviour::new(ping::Config::new()),
            sync: sync_behaviour(names, ranges, limits, pace)?,
            gossip: gossip(names, settings)?,
        })
    }
}

/// The score below which gossipsub ignores a peer. It is parted with by our own counts alone, which
/// hold nothing but what its own link brought.
///
/// Five rejected envelopes (P4: 5 squared times -4); our own count blocks at four.
const GRAYLIST: f64 = -80.0;

/// Envelopes that wait for one neighbour, beside what its stream holds, a copy of each: 512 KiB of the
/// usual ones. Of the longest the default line lets 60 through at once, which are 4 MB. A guess: more
/// than thirty nodes that all speak at once put into it on a busy machine (120).
const QUEUE: usize = 256;

/// The longest that an envelope waits for a neighbour. Catching up brings what is dropped.
const QUEUED: Duration = Duration::from_secs(5);

/// Identify's description of this node: the protocol list, which others need to find gossipsub, and
/// two constants that every node of this network gives. No address, no version, no push: anything
/// more would help to recognise a node under its next transport key.
fn identity_card(key: &identity::Keypair) -> identify::Config {
    identify::Config::new("/libp2p/1".to_owned(), key.public())
        .with_agent_version("libp2p".to_owned())
        .with_hide_listen_addrs(true)
        .with_push_listen_addr_updates(false)
        .with_cache_size(0)
}

fn gossip(names: &ProtocolNames, settings: &NetSettings) -> Result<CheckedGossip, NetError> {
    let floor = Floor::new(settings.floor_bits);
    let inspector = Arc::new(Inspector::new(names.flood.hash(), floor, settings.pace.wall));
    let config = gossip_config(names, settings, Arc::clone(&inspector))
        .map_err(|error| NetError::Protocol(error.to_string()))?;
    let ours = [names.flood.hash(), names.heartbeat.hash()].into_iter().collect();
    let mut gossip = Gossipsub::new_with_subscription_filter_and_transform(
        gossipsub::MessageAuthenticity::Anonymous,
        config,
        gossipsub::WhitelistSubscriptionFilter(ours),
        InboundCheck(Arc::clone(&inspector)),
    )
    .map_err(|error| NetError::Protocol(error.to_owned()))?;
    gossip.with_peer_score(scores(names), thresholds()).map_err(NetError::Protocol)?;
    gossip.subscribe(&names.flood).map_err(|error| NetError::Protocol(error.to_string()))?;
    Ok(CheckedGossip::new(gossip, inspector))
}

fn gossip_config(
    names: &ProtocolNames,
    settings: &NetSettings,
    inspector: Arc<Inspector>,
) -> Result<gossipsub::Config, gossipsub::ConfigBuilderError> {
    let neighbours = settings.limits.neighbours();
    gossipsub::ConfigBuilder::default()
        // No author, sequence number or signature; a message with one is rejected.
        .validation_mode(gossipsub::ValidationMode::Anonymous)
        .validate_messages()
        // Without author and sequence number the default id would be one for all messages.
        .message_id_fn(move |message| inspector.message_id(message))
        .duplicate_cache_time(KEPT)
        // Forwarders send whole messages to their mesh alone, so a node that publishes to more than
        // the mesh is seen to be the author.
        .flood_publish(false)
        .connection_handler_queue_len(QUEUE)
        // Nothing is announced (IHAVE): whoever is not passed an envelope on to at once would be told
        // within seconds what catching up keeps for a minute. What neighbours announce and ask for is
        // left out where it comes in (`frame`).
        .gossip_lazy(0)
        .gossip_factor(0.0)
        .history_gossip(0)
        // Alike, because what waits longer for its own than for others' names an author.
        .publish_queue_duration(QUEUED)
        .forward_queue_duration(QUEUED)
        // So every neighbour in the flood is in the mesh, as soon as it says that it is in the flood: D
        // and D_lo are as many as there can be, and there are never so many that some are pruned.
        // Outside the mesh are those alone that are too far behind (`backlog`).
        .mesh_n(neighbours)
        .mesh_n_low(neighbours)
        .mesh_n_high(neighbours.saturating_add(1))
        .mesh_outbound_min(0)
        .prune_backoff(settings.pace.pause)
        // Forwarders send IDONTWANT and authors do not, so it would mark the author.
        .idontwant_message_size_threshold(usize::MAX)
        .max_transmit_size(FRAME)
        .max_control_message_size(FRAME)
        // The first heartbeat at once: before it, nothing mends a mesh.
        .heartbeat_initial_delay(Duration::from_secs(1))
        // The topic of the signs of life carries nothing and needs no mesh; without one, joining
        // and leaving it costs no GRAFT, no PRUNE and no back-off.
        .mesh_n_for_topic(0, names.heartbeat.hash())
        .mesh_n_low_for_topic(0, names.heartbeat.hash())
        .mesh_n_high_for_topic(0, names.heartbeat.hash())
        .mesh_outbound_min_for_topic(0, names.heartbeat.hash())
        .build()
}

fn thresholds() -> gossipsub::PeerScoreThresholds {
    gossipsub::PeerScoreThresholds {
        // What was rejected never comes so far (`inbound`): this is a second line. At -4 a neighbour
        // leaves the mesh, and at -64 it is sent nothing of ours. No ids are exchanged with anybody.
        gossip_threshold: -10.0,
        publish_threshold: -50.0,
        graylist_threshold: GRAYLIST,
        // Peer exchange is not used: no score reaches this.
        accept_px_threshold: 1000.0,
        // There is nobody to try: all are in the mesh.
        opportunistic_graft_threshold: 0.0,
    }
}

/// All scoring by hand: gossipsub's defaults give +1800 for mere presence, which would hide every
/// penalty.
///
/// **No penalty here parts with anybody**, and none is for neighbours at the same address (P6). What
/// somebody else can bring about (a flood through us that a line cannot take) costs a place in the mesh
/// for some seconds, and nothing more.
fn scores(names: &ProtocolNames) -> gossipsub::PeerScoreParams {
    let tenth_after = gossipsub::score_parameter_decay;
    let mut params = gossipsub::PeerScoreParams {
        // The only positive score is P2, at most 5: less than two rejections cost, so useful
        // deliveries buy no invalid ones.
        topic_score_cap: 5.0,
        // What `backlog` says of a neighbour. Others can bring it about by a flood through us, so nothing
        // follows from it but that the neighbour leaves the mesh, and catches up with what it missed.
        app_specific_weight: 1.0,
        // P6: behind one address may be a household, a carrier's network or an exit of Tor. How many
        // places they get is the door's affair, and only when all are taken.
        ip_colocation_factor_weight: 0.0,
        // P7: ids announced and never delivered, grafts during a back-off. Neither is looked at.
        behaviour_penalty_weight: 0.0,
        // Who takes too little is known by bytes (`backlog`). Envelopes that found a queue full are no
        // measure of it: a burst of others' fills the queue of an honest neighbour.
        slow_peer_weight: 0.0,
        // Keys are free, so a score that outlives its link binds nobody and would be kept for
        // each key that ever came. What has to outlive a link is counted in `peers`.
        retain_score: Duration::ZERO,
        ..gossipsub::PeerScoreParams::default()
    };
    params.topics.insert(
        names.flood.hash(),
        gossipsub::TopicScoreParams {
            topic_weight: 1.0,
            // P1: presence is no merit.
            time_in_mesh_weight: 0.0,
            // P2: the neighbours that deliver envelopes first are kept rather than others.
            first_message_deliveries_weight: 1.0,
            first_message_deliveries_decay: tenth_after(Duration::from_secs(600)),
            first_message_deliveries_cap: 5.0,
            // P3, P3b: on a quiet topic silence is no fault.
            mesh_message_deliveries_weight: 0.0,
            mesh_failure_penalty_weight: 0.0,
            // P4: squared, so -4, -16, -36, -64, -100; a tenth is left after ten minutes.
            invalid_message_deliveries_weight: -4.0,
            invalid_message_deliveries_decay: tenth_after(Duration::from_secs(600)),
            ..gossipsub::TopicScoreParams::default()
        },
    );
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::net::inbound::OUT_OF_MESH;

    #[test]
    fn own_envelopes_wait_no_longer_for_a_neighbour_than_those_of_others() {
        let name = "test".parse().expect("a name");
        let names = ProtocolNames::new(&name, 0);
        let (floor, wall) = (Floor::new(0), crate::shell::os::clock::wall);
        let inspector = Arc::new(Inspector::new(names.flood.hash(), floor, wall));
        let settings = NetSettings::new(name, 0);
        let config = gossip_config(&names, &settings, inspector).expect("a configuration");
        assert_eq!(config.publish_queue_duration(), config.forward_queue_duration());
    }

    #[test]
    fn what_others_do_and_how_many_they_are_costs_a_place_in_the_mesh_at_most() {
        let name = "test".parse().expect("a name");
        let names = ProtocolNames::new(&name, 0);
        let params = scores(&names);
        // What others deliver first makes somebody seem to deliver too little.
        let flood = &params.topics[&names.flood.hash()];
        let aimed = [
            params.ip_colocation_factor_weight,
            params.slow_peer_weight,
            flood.mesh_message_deliveries_weight,
            flood.mesh_failure_penalty_weight,
            params.behaviour_penalty_weight,
        ];
        assert!(aimed.iter().all(|weight| *weight == 0.0), "{aimed:?}");
        let behind = params.app_specific_weight * OUT_OF_MESH;
        assert!(behind + params.topic_score_cap < 0.0 && behind > thresholds().gossip_threshold);
        assert_eq!(params.retain_score, Duration::ZERO);
        assert!(params.validate().is_ok());
    }
}
