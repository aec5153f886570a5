//! `tidegate serve`

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use clap::Args;
use tidegate_core::Policy;
use tidegate_core::policy::Listen;
use tidegate_core::policy::listen::DEFAULT_LISTEN;
use tidegate_origin::admin::AdminListener;
use tidegate_origin::clock;
use tidegate_origin::control::{Control, Start};
use tidegate_origin::edge_signature::{self, EdgeSignature};
use tidegate_origin::gate::Shared;
use tidegate_origin::in_force::InForce;
use tidegate_origin::process_log::{self, Format, Level};
use tidegate_origin::redis_limiter::RedisLimiter;
use tidegate_origin::saved_answers::Saved;
use tidegate_origin::second_tier::SecondTier;
use tidegate_origin::server::tls::Tls;
use tidegate_origin::server::{Inherited, Server};
use tidegate_origin::tokens::Tokens;
use tidegate_origin::zones::Zones;

use super::{Outcome, PolicyArgument};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    policy: PolicyArgument,
    /// Where to listen, in place of the policy's `listen`; may be given more than once. Port 0
    /// takes any free one
    #[arg(long, value_name = "PLACE")]
    listen: Vec<Listen>,
    /// How the process says what becomes of it: `text` for people, `json` for whatever collects lines
    #[arg(long, value_name = "FORMAT", env = "TIDEGATE_LOG_FORMAT", default_value = "text")]
    log_format: Format,
    /// The page of the playground, for `/playground` of the admin listener
    #[arg(long, value_name = "FILE", env = "TIDEGATE_PLAYGROUND")]
    playground: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    process_log::write_as(arguments.log_format);
    let mut inherited =
        Inherited::from_environment().map_err(|error| format!("tidegate: {error}"))?;
    let reading = arguments.policy.read()?;
    process_log::report(Level::Warning, arguments.policy.warnings(&reading));
    let (policy, source) = (reading.policy, reading.source.into());
    let edge = EdgeSignature::new(&policy, |name| std::env::var(name).ok())
        .map_err(|bad| format!("tidegate: {bad}\n= hint: {}", edge_signature::HINT))?;
    let tokens = tokens(&policy)?;
    // Before it is asked what else was passed.
    let environment = |name: &str| std::env::var(name).ok();
    let bind = |admin| AdminListener::bind(admin, &mut inherited, &environment);
    let admin = policy.model().admin.as_ref().map(bind).transpose();
    let admin = admin.map_err(|error| format!("tidegate: {error}"))?;
    let shim = &policy.model().shim;
    let places = places(&arguments.listen, &shim.listen, &inherited);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let server = Server::bind(&places, &mut inherited, shim.connections, threads);
    let server = server.map_err(|error| format!("tidegate: {error}"))?;
    if let Some(complaint) = server.complaint() {
        process_log::warning(complaint, &[]);
    }
    let start = Start {
        policy: arguments.policy.policy.clone(),
        source,
        playground: arguments.playground.as_deref().map(playground).transpose()?,
        listen: policy.model().shim.listen.clone(),
        listen_is_given: !arguments.listen.is_empty(),
        admin: policy.model().admin.clone(),
        at: clock::now(),
    };
    for place in inherited.places() {
        process_log::warning(
            format_args!("a socket was passed for {place}, where the policy does not listen"),
            &[("place", &place)],
        );
    }
    let redis = redis(&policy)?;
    let stores = stores(&policy)?;
    let tls = certificates(&policy, &start, &places)?;
    let shared =
        Arc::new(Shared::new(InForce::new((policy, &start.folder()), edge, tokens, redis, stores)));
    #[cfg(feature = "otel")]
    export_spans(&shared)?;
    let control = Control::new(shared, tls, start).map_err(|error| format!("tidegate: {error}"))?;
    take_snapshot(&control);
    let places: Vec<String> = server.places().map(url).collect();
    let operated_at = admin.as_ref().map(AdminListener::address);
    server.run(&Arc::new(control), admin, || {
        for place in places {
            process_log::listening(format_args!("listening on {place}"), &[("place", &place)]);
        }
        if let Some(address) = operated_at {
            let place = format!("http://{address}");
            process_log::listening(format_args!("admin listener on {place}"), &[("place", &place)]);
        }
    })?;
    Ok(())
}

fn playground(path: &Path) -> Result<Arc<str>, String> {
    const HINT: &str = "= hint: `cargo xtask build-playground` writes that page";
    let page = std::fs::read_to_string(path);
    page.map(Arc::from).map_err(|error| format!("tidegate: {}: {error}\n{HINT}", path.display()))
}

/// Takes over what the last process has stored. What is no use is none, and no reason not to start.
fn take_snapshot(control: &Control) {
    match control.take_snapshot() {
        Ok(None) => {}
        Ok(Some(Saved { answers, .. })) => {
            process_log::info(
                format_args!("stored again, from the last process: {answers} answers"),
                &[("answers", &answers)],
            );
        }
        Err((path, bad)) => {
            let path = path.display();
            process_log::warning(
                format_args!("the snapshot {path} {bad}; nothing is stored yet"),
                &[("file", &path)],
            );
        }
    }
}

/// Sends spans to the collector that the environment names, if it names one.
#[cfg(feature = "otel")]
fn export_spans(shared: &Shared) -> Outcome {
    use tidegate_origin::otel::{Collector, Exporter};
    let collector = Collector::from_environment(|name| std::env::var(name).ok());
    let collector = collector.map_err(|bad| format!("tidegate: {bad}"))?;
    if let Some(collector) = collector {
        shared.export_to(Exporter::start(collector)?);
    }
    Ok(())
}

/// The keys for tokens. Without its secrets nothing is served, since every user would be a
/// stranger; a key set that does not come may still come, and strangers can wait.
fn tokens(policy: &Policy) -> Result<Tokens, Box<dyn Error>> {
    let tokens = Tokens::new(&policy.model().identity, &|name| std::env::var(name).ok());
    if !tokens.bad_secrets().is_empty() {
        let each = tokens.bad_secrets().iter().map(|bad| format!("tidegate: {bad}"));
        return Err(each.collect::<Vec<_>>().join("\n").into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Err(error) = runtime.block_on(tokens.refresh()) {
        process_log::warning(
            format_args!("{error}; until one comes, tokens of its keys count as unverified"),
            &[],
        );
    }
    Ok(tokens)
}

/// The certificates of the policy. Without them nothing is served where they would be shown.
fn certificates(
    policy: &Policy,
    start: &Start,
    places: &[Listen],
) -> Result<Arc<Tls>, Box<dyn Error>> {
    let tls = Arc::new(Tls::new()?);
    match (&policy.model().shim.tls, places.iter().find(|place| place.has_tls())) {
        (Some(rule), _) => {
            let loaded = tls.load(rule, &start.folder());
            tls.put_in_force(loaded.map_err(|bad| format!("tidegate: {bad}"))?);
        }
        (None, Some(place)) => {
            let hint = "= hint: name it in `[shim.tls] certificates`";
            return Err(format!("tidegate: {place} has no certificate to show\n{hint}").into());
        }
        (None, None) => {}
    }
    Ok(tls)
}

/// The Redis of the policy. Without its URL nothing is served; a server that does not answer may
/// still come, and until then limits go by their `on_store_error`.
fn redis(policy: &Policy) -> Result<Option<Arc<RedisLimiter>>, Box<dyn Error>> {
    let Some(rule) = &policy.model().redis else { return Ok(None) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let redis = runtime.block_on(RedisLimiter::from_environment(rule));
    Ok(Some(redis.map_err(|bad| format!("tidegate: {bad}"))?))
}

/// Where answers are stored.
type Stores = (Zones, Option<Arc<SecondTier>>);

/// Where answers are stored: in memory, and in the Redis of the policy's `[cache]`. Without its URL
/// nothing is served.
fn stores(policy: &Policy) -> Result<Stores, Box<dyn Error>> {
    let zones = Zones::new(policy);
    let Some(rule) = &policy.model().cache.redis else { return Ok((zones, None)) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let invalidations = Arc::clone(zones.invalidations());
    let tier = runtime.block_on(SecondTier::from_environment(rule, invalidations));
    Ok((zones, Some(tier.map_err(|bad| format!("tidegate: {bad}"))?)))
}

/// Where the command line says to listen; else the policy; else whoever passed sockets.
fn places(given: &[Listen], policy: &[Listen], inherited: &Inherited) -> Vec<Listen> {
    let passed = inherited.places();
    let said = [given, policy, &passed].into_iter().find(|places| !places.is_empty());
    said.map_or_else(|| vec![DEFAULT_LISTEN], <[Listen]>::to_vec)
}

/// A place with what is spoken there.
fn url(place: &Listen) -> String {
    match place {
        Listen::Tcp { address, tls: false } => format!("http://{address}"),
        Listen::Tcp { .. } => place.to_string(),
        Listen::Unix { path, .. } => format!("unix:{path}"),
    }
}
