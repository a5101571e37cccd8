//! `undertone status`: the running node, if there is one, and what the home folder contains.

use serde_json::{Value, json};

use super::control;
use crate::engine::sync::ClockSkew;
use crate::shell::archive::Archive;
use crate::shell::cli::args::GlobalArgs;
use crate::shell::cli::{open_store, output};
use crate::shell::failure::Failure;
use crate::shell::store::Store;
use crate::shell::text::clock_skew;

/// `undertone status`
pub(super) fn run(global: &GlobalArgs) -> Result<(), Failure> {
    let home = open_store::home(global)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let node = runtime.block_on(control::ask(&home, &json!({ "do": "status" })))?;
    let kept = if Store::exists(&home) { "encrypted with a passphrase" } else { "empty" };
    let archive = Archive::on_disk(&home);
    if global.json {
        let running = node.is_some();
        let ready = node.as_ref().and_then(|line| line.get("ready")).is_some_and(|v| v == true);
        output::print_result(&json!({
            "running": running, "ready": ready, "home": home.display().to_string(),
            "kept": Store::exists(&home), "archive_bytes": archive, "node": node,
        }));
        return Ok(());
    }
    output::print_line(&format!("home     {}\nstore    {kept}", home.display()));
    if let Some(bytes) = archive {
        output::print_line(&format!("archive  {} KiB on disk", bytes >> 10));
    }
    match node {
        None => output::print_line("node     not running; start one: undertone"),
        Some(line) => output::print_line(&words(&line)),
    }
    Ok(())
}

fn words(line: &Value) -> String {
    let number = |name: &str| line.get(name).and_then(Value::as_u64).unwrap_or_default();
    let cover = match line.get("cover_per_minute").and_then(Value::as_f64) {
        Some(rate) => format!("{rate:.1} per minute on average"),
        None => "off".to_owned(),
    };
    let mut text = format!(
        "node     running, network {}\npeers    {}\npool     {} of {} KiB, {}\n\
         floor    2^{}\njunk     {cover}\nqueued   {}\nclock    {}\ncatch-up {} fetched from peers",
        line.get("network").and_then(Value::as_str).unwrap_or_default(),
        number("peers"),
        number("pool_bytes") >> 10,
        number("pool_capacity") >> 10,
        envelopes(number("pool_items")),
        number("floor_bits"),
        number("queued"),
        clock(line),
        envelopes(number("caught_up")),
    );
    for address in line.get("listening").and_then(Value::as_array).into_iter().flatten() {
        text.push_str("\nlisten   ");
        text.push_str(address.as_str().unwrap_or_default());
    }
    text
}

fn envelopes(count: u64) -> String {
    if count == 1 { "1 envelope".to_owned() } else { format!("{count} envelopes") }
}

fn clock(line: &Value) -> String {
    let minutes = line.get("clock_minutes").and_then(Value::as_i64);
    let witnesses = line.get("clock_witnesses").and_then(Value::as_u64).unwrap_or_default();
    let witnesses = usize::try_from(witnesses).unwrap_or(usize::MAX);
    let clock = minutes.map(|minutes| ClockSkew { minutes, witnesses });
    clock.map_or_else(|| "not compared yet".to_owned(), clock_skew::words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_envelope_is_not_said_to_be_several() {
        let one = words(&json!({ "pool_items": 1, "caught_up": 1 }));
        assert!(one.contains(" KiB, 1 envelope\n"), "{one}");
        assert!(one.contains("catch-up 1 envelope fetched"), "{one}");
        let two = words(&json!({ "pool_items": 2, "caught_up": 0 }));
        assert!(
            two.contains(" KiB, 2 envelopes\n") && two.contains("catch-up 0 envelopes"),
            "{two}"
        );
    }
}
